//! Settings under which the server prints definitions that mean the same in every session.

use tokio_postgres::GenericClient;

use crate::{Error, Result};

/// Every name qualified, dates and intervals in the forms that every server reads.
const PRINTING: [(&str, &str); 4] = [
    ("search_path", ""),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("quote_all_identifiers", "off"),
];

/// The session's own values, to be put back.
pub(super) struct Printing(Vec<(&'static str, String)>);

impl Printing {
    /// Switches to them.
    pub(super) async fn begin<C: GenericClient>(client: &C) -> Result<Self> {
        let mut saved = Vec::with_capacity(PRINTING.len());
        for (name, _) in PRINTING {
            let row = client.query_one("select pg_catalog.current_setting($1)", &[&name]).await?;
            saved.push((name, row.try_get(0)?));
        }
        for (name, value) in PRINTING {
            set(client, name, value).await?;
        }
        Ok(Printing(saved))
    }

    /// Switches back. When the transaction has failed, its rollback does that.
    pub(super) async fn end<C: GenericClient, T>(self, client: &C, outcome: Result<T>) -> Result<T> {
        for (name, value) in &self.0 {
            match (&outcome, set(client, name, value).await) {
                (Ok(_), Err(error)) => return Err(error),
                // The first error is the one to report.
                (Err(_), Err(_)) => break,
                (_, Ok(())) => {}
            }
        }
        outcome
    }
}

async fn set<C: GenericClient>(client: &C, name: &str, value: &str) -> Result<()> {
    client
        .query_one("select pg_catalog.set_config($1, $2, false)", &[&name, &value])
        .await
        .map_err(|e| Error::from(e).context(format!("setting {name} for reading the catalog")))?;
    Ok(())
}
