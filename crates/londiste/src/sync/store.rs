//! Writing the state of a table. Each call is one statement; outside a transaction it commits by itself.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use pgq::cascade::Reply;

use crate::snapshot::Snapshot;
use crate::table::MergeState;

pub(crate) const SET_TABLE_STATE: &str =
    "select ret_code, ret_note from londiste.local_set_table_state($1, $2, $3, $4)";

/// Stores snapshot and state of a table; both are overwritten.
///
/// # Errors
/// 404 when the table is not registered (any more).
pub async fn set_state<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    table: &str,
    snapshot: Option<&Snapshot>,
    state: MergeState,
) -> Result<()> {
    let snapshot = snapshot.map(ToString::to_string);
    let row = client
        .query_typed_one(
            SET_TABLE_STATE,
            &[
                (&queue, Type::TEXT),
                (&table, Type::TEXT),
                (&snapshot, Type::TEXT),
                (&state.to_stored(), Type::TEXT),
            ],
        )
        .await?;
    let Reply { .. } = Reply::from_row(&row)?;
    tracing::debug!(table, %state, "table state stored");
    Ok(())
}

/// Removes the snapshot of a table whose state stays as it is.
///
/// # Errors
/// As [`set_state`].
pub async fn forget_snapshot<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    table: &str,
    state: MergeState,
) -> Result<()> {
    set_state(client, queue, table, None, state).await
}
