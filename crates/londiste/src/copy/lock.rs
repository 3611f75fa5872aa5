//! One copier per table: a session-level advisory lock in the target database.
//!
//! The lock goes with the session, so it also keeps a new copy from starting while the server still works for one
//! that was killed.

use skytools::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

const TRY_LOCK: &str = "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('londiste.copy ' || $1 || ' ' || $2, 0))";

/// Takes the lock of a table's copy, if nobody has it.
///
/// # Errors
/// Whatever the server reports.
pub async fn try_lock(target: &Client, queue: &str, table: &str) -> Result<bool> {
    let row = target.query_typed_one(TRY_LOCK, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await?;
    Ok(row.try_get(0)?)
}
