//! Writing the state of a table. Each call is one statement; outside a transaction it commits by itself.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use pgq::cascade::Reply;

use crate::snapshot::Snapshot;
use crate::table::MergeState;

pub(crate) const SET_TABLE_STATE: &str =
    "select ret_code, ret_note from londiste.local_set_table_state($1, $2, $3, $4)";
/// As above, if the state is still the fifth parameter. The function depends on the row, so that it is not called without one.
pub(crate) const MOVE_TABLE_STATE: &str = "select f.ret_code, f.ret_note \
     from (select t.queue_name, t.table_name from londiste.table_info t \
            where t.queue_name = $1 and t.table_name = $2 and t.local and t.merge_state is not distinct from $5 for update) now, \
          lateral londiste.local_set_table_state(now.queue_name, now.table_name, $3, $4) f";

/// Stores that a table has to be copied again, whatever its state.
///
/// # Errors
/// 404 when the table is not registered (any more).
pub async fn set_missing<C: GenericClient + Sync>(client: &C, queue: &str, table: &str) -> Result<()> {
    let row = client
        .query_typed_one(
            SET_TABLE_STATE,
            &[
                (&queue, Type::TEXT),
                (&table, Type::TEXT),
                (&None::<&str>, Type::TEXT),
                (&MergeState::Missing.to_stored(), Type::TEXT),
            ],
        )
        .await?;
    let Reply { .. } = Reply::from_row(&row)?;
    tracing::debug!(table, state = %MergeState::Missing, "table state stored");
    Ok(())
}

/// Moves a table from one state to another with its snapshot; false, and nothing is done, when it is in another state by
/// now: somebody has asked for a new copy, or removed the table.
///
/// # Errors
/// 405 for a state that the table cannot have, as it is.
pub async fn move_state<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    table: &str,
    from: MergeState,
    snapshot: Option<&Snapshot>,
    to: MergeState,
) -> Result<bool> {
    let snapshot = snapshot.map(ToString::to_string);
    let rows = client
        .query_typed(
            MOVE_TABLE_STATE,
            &[
                (&queue, Type::TEXT),
                (&table, Type::TEXT),
                (&snapshot, Type::TEXT),
                (&to.to_stored(), Type::TEXT),
                (&from.to_stored(), Type::TEXT),
            ],
        )
        .await?;
    let Some(row) = rows.first() else {
        tracing::info!(table, %from, %to, "the table's state was changed meanwhile");
        return Ok(false);
    };
    let Reply { .. } = Reply::from_row(row)?;
    tracing::debug!(table, %from, %to, "table state stored");
    Ok(true)
}

/// Removes the snapshot of a table whose state stays as it is; if it has not, nothing is done.
///
/// # Errors
/// As [`move_state`].
pub async fn forget_snapshot<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    table: &str,
    state: MergeState,
) -> Result<()> {
    move_state(client, queue, table, state, None, state).await.map(drop)
}
