//! What commands that work on several objects of this node share: which objects are meant, and all of them or none.

use skytools::db::Connection;
use skytools::{Error, Result};
use tokio_postgres::Transaction;

use super::expansion::{Candidates, Unknown, expand};
use super::session::{Session, or_hint};
use crate::TableRow;

/// The tables that this node replicates; `done` says which of the others have nothing left to do.
pub fn local_tables(rows: &[TableRow], done: impl Fn(&TableRow) -> bool) -> Candidates {
    Candidates {
        open: rows.iter().filter(|t| t.local).map(|t| t.table_name.clone()).collect(),
        done: rows.iter().filter(|t| !t.local && done(t)).map(|t| t.table_name.clone()).collect(),
    }
}

/// The objects that the arguments mean; `listing` is the command that lists them, for the hint of an error.
///
/// # Errors
/// As [`expand`].
pub fn chosen(
    session: &Session,
    listing: &str,
    names: &[String],
    all: bool,
    force: bool,
    candidates: &Candidates,
) -> Result<Vec<String>> {
    let unknown = if force { Unknown::Force } else { Unknown::Refuse };
    expand(names, all, candidates, unknown)
        .map_err(|e| or_hint(e, || format!("\"{}\" lists those of this node", session.again(listing))))
}

/// Does something to every object in one transaction.
///
/// # Errors
/// That of the first object, named by `doing` (`removing table`); then nothing was changed.
pub async fn all_or_none<F>(local: &mut Connection, names: &[String], doing: &str, each: F) -> Result<()>
where
    F: AsyncFn(&Transaction<'_>, &str) -> Result<()>,
{
    let tx = local.transaction().await?;
    for name in names {
        each(&tx, name)
            .await
            .map_err(|e: Error| e.context(format!("{doing} {name}; nothing was changed")))?;
    }
    tx.commit().await?;
    Ok(())
}
