//! Watermarks: ticks below which no node of the queue needs anything any more.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::{Reply, sql};

/// Moves the watermark of a subscribed node forward, on its provider.
///
/// # Errors
/// 404 when the node is not subscribed, 405 when the watermark would move backwards.
pub async fn set_subscriber_watermark<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &str,
    watermark: i64,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::SET_SUBSCRIBER_WATERMARK,
            &[(&queue, Type::TEXT), (&node, Type::TEXT), (&watermark, Type::INT8)],
        )
        .await?;
    Reply::from_row(&row)
}

/// Moves the global watermark. On the root `None` means its own local watermark, and the move is published as an
/// event; a branch needs the value; a leaf ignores it.
///
/// # Errors
/// 404 without a node, 500 for `None` on a branch.
pub async fn set_global_watermark<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    watermark: Option<i64>,
) -> Result<Reply> {
    let row = client
        .query_typed_one(sql::SET_GLOBAL_WATERMARK, &[(&queue, Type::TEXT), (&watermark, Type::INT8)])
        .await?;
    Reply::from_row(&row)
}

/// Moves the position of the merge leaf of `part_queue` that feeds `combined_queue`; 201 where there is none.
///
/// # Errors
/// 401 when the leaf's worker is not registered.
pub async fn set_partition_watermark<C: GenericClient + Sync>(
    client: &C,
    combined_queue: &str,
    part_queue: &str,
    watermark: i64,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::SET_PARTITION_WATERMARK,
            &[(&combined_queue, Type::TEXT), (&part_queue, Type::TEXT), (&watermark, Type::INT8)],
        )
        .await?;
    Reply::from_row(&row)
}

/// Publishes the global watermark of a root when it is older than five minutes.
///
/// # Errors
/// Whatever the server reports.
pub async fn maint_watermark<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<()> {
    client.query_typed_one(sql::MAINT_WATERMARK, &[(&queue, Type::TEXT)]).await?;
    Ok(())
}
