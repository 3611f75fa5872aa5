//! The snapshot that the copy of a table read the table with. An event whose transaction is visible in it is in the
//! copied rows already and must not be applied once more.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

pub use skytools::snapshot::Snapshot;

const TICK_SNAPSHOT: &str = "select t.tick_snapshot::text from pgq.tick t \
     join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = $1 and t.tick_id = $2";

/// The snapshot of a tick, or `None` when the tick is gone already.
///
/// # Errors
/// Whatever the server reports; malformed text.
pub async fn of_tick<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    tick: i64,
) -> Result<Option<Snapshot>> {
    match client.query_typed_opt(TICK_SNAPSHOT, &[(&queue, Type::TEXT), (&tick, Type::INT8)]).await? {
        Some(row) => Ok(Some(row.try_get::<_, &str>(0)?.parse()?)),
        None => Ok(None),
    }
}
