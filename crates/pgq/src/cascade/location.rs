//! Where the nodes of a queue are: name, connect string, dead or alive.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::{Reply, sql};

/// One node's entry in `pgq_node.node_location`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Name of the node.
    pub node: String,
    /// Connect string under which the other nodes reach it. Stored without a password.
    pub connstr: String,
    /// Whether the node has been given up.
    pub dead: bool,
}

/// All locations that the local node knows, by node name.
///
/// # Errors
/// Whatever the server reports.
pub async fn queue_locations<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Vec<Location>> {
    let rows = client.query_typed(sql::GET_QUEUE_LOCATIONS, &[(&queue, Type::TEXT)]).await?;
    rows.iter()
        .map(|row| Ok(Location { node: row.try_get(0)?, connstr: row.try_get(1)?, dead: row.try_get(2)? }))
        .collect()
}

/// Registers or updates a location. A `connstr` of `None` keeps the one that is stored, and inserts nothing
/// where there is none. On a root this also publishes a `pgq.location-info` event.
///
/// # Errors
/// Whatever the server reports.
pub async fn register_location<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &str,
    connstr: Option<&str>,
    dead: bool,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::REGISTER_LOCATION,
            &[(&queue, Type::TEXT), (&node, Type::TEXT), (&connstr, Type::TEXT), (&dead, Type::BOOL)],
        )
        .await?;
    Reply::from_row(&row)
}

/// Forgets a location, with the node's subscription if there is one. On a root this also publishes a
/// `pgq.unregister-location` event.
///
/// # Errors
/// 403 for the node itself and for the provider of its worker.
pub async fn unregister_location<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &str,
) -> Result<Reply> {
    let row = client
        .query_typed_one(sql::UNREGISTER_LOCATION, &[(&queue, Type::TEXT), (&node, Type::TEXT)])
        .await?;
    Reply::from_row(&row)
}
