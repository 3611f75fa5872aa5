//! Which events of a batch go to which table here.

use std::collections::HashMap;
use std::sync::Arc;

use pgq::Event;
use pgq::change::{self, Op, RowChange};
use skytools::{Error, Result};

use super::Applier;
use crate::handler::{self, Handler, Replay};
use crate::snapshot::Snapshot;
use crate::table::TableRow;

/// How one table of the queue is replayed.
#[derive(Debug)]
struct Route {
    dest: Arc<str>,
    snapshot: Option<Snapshot>,
    /// Changes visible here may be in the rows already, or not.
    repeated: Option<Snapshot>,
    handler: Box<dyn Handler>,
}

impl Route {
    /// Whether every change of a row by that transaction is applied, whatever it is.
    fn is_plain(&self, txid: i64) -> bool {
        self.repeated.is_none()
            && self.handler.applies_rows()
            && !self.snapshot.as_ref().is_some_and(|s| s.contains(txid))
    }

    /// Whether the row that the change leaves has to replace whatever is there.
    fn replaces(&self, change: &RowChange<'_>, txid: i64) -> bool {
        matches!(change.op, Op::Insert | Op::Update)
            && self.repeated.as_ref().is_some_and(|s| s.contains(txid))
    }
}

/// The tables that one party replays, by name in the queue.
#[derive(Debug, Default)]
pub struct Routes(HashMap<String, Route>);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied (or is on its way).
    Applied,
    /// It is a row change that is not for us.
    Ignored,
    /// It is no row change.
    NotARow,
}

impl Routes {
    /// Routes to the given tables.
    ///
    /// # Errors
    /// A handler that cannot be built, naming the table.
    pub fn to<'t>(tables: impl Iterator<Item = &'t TableRow>) -> Result<Self> {
        let mut routes = HashMap::new();
        for row in tables {
            let handler = handler::build(row.attrs.handler())
                .map_err(|e| e.context(format!("handler of table {}", row.table_name)))?;
            let route = Route {
                dest: row.dest().into(),
                snapshot: row.custom_snapshot.clone(),
                repeated: None,
                handler,
            };
            routes.insert(row.table_name.clone(), route);
        }
        Ok(Routes(routes))
    }

    /// The table's rows were read with several snapshots, `first` being the earliest: what `first` does not contain and
    /// the latest (the row's own) does is applied so that it does not matter whether it is in the rows already.
    pub fn repeat_from(&mut self, table: &str, first: Snapshot) {
        if let Some(route) = self.0.get_mut(table) {
            route.repeated = route.snapshot.replace(first);
        }
    }

    /// Applies an event if it changes a row of one of the tables.
    ///
    /// # Errors
    /// An event that cannot be decoded or applied, or one that was put back for retry, which a cascade never does.
    pub async fn replay(&self, applier: &mut Applier<'_>, event: &Event) -> Result<Outcome> {
        if let Some(retry) = event.retry() {
            return Err(Error::data(format!(
                "event {} was put back {retry} times; replication needs events in order",
                event.id()
            ))
            .hint(
                "find the program that calls pgq.event_retry on this queue under the worker's consumer name",
            ));
        }
        let named = match event.extra1() {
            Some(name) if name.contains('.') => self.0.get(name),
            Some(name) => self.0.get(&format!("public.{name}")),
            None => None,
        };
        if let Some(route) = named
            && route.is_plain(event.txid())
            && applier.apply_quickly(event, &route.dest).await?
        {
            return Ok(Outcome::Applied);
        }
        if !change::is_row_change(event) {
            return Ok(Outcome::NotARow);
        }
        if named.is_none() && event.extra1().is_some() {
            return Ok(Outcome::Ignored);
        }
        let Some(change) = change::decode(event)? else { return Ok(Outcome::NotARow) };
        let Some(route) = named.or_else(|| self.0.get(change.table.as_ref())) else {
            return Ok(Outcome::Ignored);
        };
        if route.snapshot.as_ref().is_some_and(|s| s.contains(event.txid())) {
            return Ok(Outcome::Ignored);
        }
        match route
            .handler
            .replay(&change)
            .map_err(|e| e.context(format!("event {} of {}", event.id(), change.table)))?
        {
            Replay::Skip => Ok(Outcome::Ignored),
            Replay::Apply if route.replaces(&change, event.txid()) => {
                let gone = RowChange { op: Op::Delete, ..change.clone() };
                applier.apply(event, &gone, &route.dest).await?;
                let there = RowChange { op: Op::Insert, ..change };
                applier.apply(event, &there, &route.dest).await?;
                Ok(Outcome::Applied)
            }
            Replay::Apply => {
                applier.apply(event, &change, &route.dest).await?;
                Ok(Outcome::Applied)
            }
        }
    }
}
