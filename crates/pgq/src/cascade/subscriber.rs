//! The nodes that read from the local node.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::{Reply, sql};

/// One row of `pgq_node.get_subscriber_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Name of the subscribed node.
    pub node: String,
    /// Consumer name of its worker.
    pub worker: String,
    /// Tick up to which that node and all below it have come, as it last reported.
    pub watermark: Option<i64>,
}

/// The nodes that read from this one, by name.
///
/// # Errors
/// Whatever the server reports.
pub async fn subscriber_info<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Vec<Subscriber>> {
    let rows = client.query_typed(sql::GET_SUBSCRIBER_INFO, &[(&queue, Type::TEXT)]).await?;
    rows.iter()
        .map(|row| {
            Ok(Subscriber { node: row.try_get(0)?, worker: row.try_get(1)?, watermark: row.try_get(2)? })
        })
        .collect()
}

/// Subscribes another node: its worker at `tick` (or at the global watermark) and its watermark consumer.
/// Returns the global watermark, from which the new node starts.
///
/// # Errors
/// 404 for an unknown queue, 401 on a leaf; a node that is subscribed already is the server's exception.
pub async fn register_subscriber<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &str,
    worker: &str,
    tick: Option<i64>,
) -> Result<(Reply, i64)> {
    let row = client
        .query_typed_one(
            sql::REGISTER_SUBSCRIBER,
            &[(&queue, Type::TEXT), (&node, Type::TEXT), (&worker, Type::TEXT), (&tick, Type::INT8)],
        )
        .await?;
    let reply = Reply::from_row(&row)?;
    Ok((reply, row.try_get("global_watermark")?))
}

/// Unsubscribes another node, with both of its consumers; 304 when it is not subscribed.
///
/// # Errors
/// Whatever the server reports.
pub async fn unregister_subscriber<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &str,
) -> Result<Reply> {
    let row = client
        .query_typed_one(sql::UNREGISTER_SUBSCRIBER, &[(&queue, Type::TEXT), (&node, Type::TEXT)])
        .await?;
    Reply::from_row(&row)
}
