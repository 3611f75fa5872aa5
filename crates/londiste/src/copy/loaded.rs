//! The end of a load: the table's rows are there, its events are still to be replayed.

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;

use crate::snapshot::Snapshot;
use crate::sync;
use crate::table::MergeState;

/// Stores, in the transaction of the load, that a table has the rows of a snapshot.
///
/// # Errors
/// The table was reset or removed meanwhile: the transaction must be rolled back.
pub async fn loaded(target: &Client, queue: &str, table: &str, snapshot: &Snapshot) -> Result<()> {
    let (from, to) = (MergeState::InCopy, MergeState::CatchingUp);
    if sync::move_state(target, queue, table, from, Some(snapshot), to).await? {
        Ok(())
    } else {
        Err(reset_meanwhile(table))
    }
}

/// What a load ends with when it is not wanted any more.
pub fn reset_meanwhile(table: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("the copy of table {table} was reset meanwhile"))
}
