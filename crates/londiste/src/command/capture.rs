//! How the changes of a node's tables become events, as the triggers show it: what `tables --verbose` and `status` tell.

use serde_json::{Value, json};
use skytools::Result;
use tokio_postgres::GenericClient;

use super::lost_capture::Lost;
use super::session::split_name;
use super::sql;
use crate::TableRow;

/// Capture of one table for the node's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Name of the table in the queue.
    pub table: String,
    /// `row` and `statement`: generated; `generic`; `deny` on a leaf; `none`.
    pub form: String,
    /// Why changes are not captured, and what to do.
    pub problem: Option<String>,
    /// Why changes made on a leaf are not refused, and what to do.
    pub warning: Option<String>,
}

impl Capture {
    /// Reads the triggers of the tables that this node replicates.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load<C: GenericClient + Sync>(
        client: &C,
        queue: &str,
        tables: impl IntoIterator<Item = &TableRow>,
    ) -> Result<Vec<Capture>> {
        let local: Vec<&TableRow> = tables.into_iter().filter(|t| t.local).collect();
        let (schemas, names): (Vec<&str>, Vec<&str>) = local.iter().map(|t| split_name(t.dest())).unzip();
        // An original pgq has no such table.
        let registers: bool = client.query_one(sql::REGISTERS_CAPTURE, &[]).await?.try_get(0)?;
        let mut found = Vec::with_capacity(local.len());
        for row in client.query(sql::CAPTURE_TRIGGERS, &[&queue, &schemas, &names]).await? {
            let number: i64 = row.try_get(0)?;
            let Some(table) = usize::try_from(number - 1).ok().and_then(|n| local.get(n)) else { continue };
            found.push(Capture {
                table: table.table_name.clone(),
                form: row.try_get(1)?,
                problem: row.try_get(2)?,
                warning: None,
            });
        }
        if registers {
            for row in client.query(sql::CAPTURE_LOST, &[&queue, &schemas, &names]).await? {
                let (number, problem): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                let table = usize::try_from(number - 1).ok().and_then(|n| local.get(n));
                let capture = found.iter_mut().find(|c| table.is_some_and(|t| t.table_name == c.table));
                if let Some(capture) = capture {
                    capture.problem = Some(problem);
                }
            }
        }
        for lost in Lost::load(client, queue).await?.into_iter().filter(|l| l.in_sync) {
            let Some(capture) = found.iter_mut().find(|c| c.table == lost.table) else { continue };
            let place = if lost.denies { &mut capture.warning } else { &mut capture.problem };
            place.get_or_insert_with(|| lost.told());
        }
        Ok(found)
    }

    /// The cell of a listing.
    pub fn text(&self) -> String {
        match (&self.problem, &self.warning) {
            (Some(problem), _) => format!("{}, ERR: {problem}", self.form),
            (None, Some(warning)) => format!("{}, WARN: {warning}", self.form),
            (None, None) => self.form.clone(),
        }
    }

    /// For JSON.
    pub fn json(&self) -> Value {
        let mut value = json!({"form": self.form, "problem": self.problem});
        if let Some(warning) = &self.warning {
            value["warning"] = json!(warning);
        }
        value
    }
}
