//! Foreign keys that stay dropped because a table is not replicated any more.

use skytools::{Result, quote};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::sql;

/// Names the foreign keys that copies of the table have dropped, and how they come back. Half copied rows might not fit them, so
/// nobody does that by itself.
///
/// # Errors
/// Whatever the server reports.
pub async fn warn<C: GenericClient + Sync>(client: &C, dest: &str) -> Result<()> {
    for row in client.query_typed(sql::PENDING_FKEYS, &[(&dest, Type::TEXT)]).await? {
        let (from, name): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        tracing::warn!(
            "Foreign key {name} of table {from}, which a copy has dropped, stays dropped: put it back when the rows are right, \
             with: select londiste.restore_table_fkey({}, {})",
            quote::literal(from),
            quote::literal(name)
        );
    }
    Ok(())
}
