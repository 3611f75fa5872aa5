//! The local node: what it is, and creating and dropping it.

use std::fmt;
use std::str::FromStr;

use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use super::{Reply, sql};

/// What a node does with the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeType {
    /// Accepts events and makes ticks.
    Root,
    /// Holds a full copy of the queue, with the same event and tick ids.
    Branch,
    /// Reads only; has no queue of its own.
    Leaf,
}

/// The type of the node of the combined queue that a merge leaf feeds.
pub type CombinedType = NodeType;

impl NodeType {
    /// The name stored in `pgq_node.node_info.node_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeType::Root => "root",
            NodeType::Branch => "branch",
            NodeType::Leaf => "leaf",
        }
    }
}

impl fmt::Display for NodeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for NodeType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "root" => Ok(NodeType::Root),
            "branch" => Ok(NodeType::Branch),
            "leaf" => Ok(NodeType::Leaf),
            other => Err(Error::data(format!("unknown node type \"{other}\" in pgq_node.node_info"))),
        }
    }
}

/// Row of `pgq_node.get_node_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Type of the node.
    pub node_type: NodeType,
    /// Name of the node.
    pub node_name: String,
    /// Tick up to which every node of the queue has come; `None` on a leaf.
    pub global_watermark: Option<i64>,
    /// Tick up to which this node and all below it have come.
    pub local_watermark: Option<i64>,
    /// Node that the worker reads from; the node itself on a root.
    pub provider_node: Option<String>,
    /// Connect string of the provider.
    pub provider_location: Option<String>,
    /// Queue in the same database that a merge leaf feeds.
    pub combined_queue: Option<String>,
    /// Type of the combined queue's local node.
    pub combined_type: Option<CombinedType>,
    /// Consumer name of the node's worker.
    pub worker_name: Option<String>,
    /// Whether the worker is asked to pause.
    pub worker_paused: bool,
    /// Whether the worker has seen the latest change of its state.
    pub worker_uptodate: bool,
    /// Tick that the worker has completed.
    pub worker_last_tick: Option<i64>,
    /// Urlencoded attributes; known key: `sync_watermark`.
    pub node_attrs: Option<String>,
    /// Queues that merge into this one; empty where there are none or the schema is older than 3.5.
    pub target_for: Vec<String>,
}

fn node_type(row: &Row, column: &str) -> Result<Option<NodeType>> {
    row.try_get::<_, Option<&str>>(column)?.map(str::parse).transpose()
}

/// State of the local node of a queue, or `None` when this database has no node of that queue.
///
/// # Errors
/// Whatever the server reports, also when schema `pgq_node` does not exist.
pub async fn load_node_info<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Option<NodeInfo>> {
    let row = client.query_typed_one(sql::GET_NODE_INFO, &[(&queue, Type::TEXT)]).await?;
    if row.try_get::<_, Option<i32>>("ret_code")? == Some(404) {
        return Ok(None);
    }
    // The note of 1xx is "Ok": nothing for the log.
    let Reply { .. } = Reply::from_row(&row)?;
    let Some(kind) = node_type(&row, "node_type")? else {
        return Err(Error::data(format!(
            "pgq_node.get_node_info returned no node type for queue \"{queue}\""
        )));
    };
    let target_for = if row.columns().iter().any(|c| c.name() == "target_for") {
        row.try_get::<_, Option<Vec<String>>>("target_for")?.unwrap_or_default()
    } else {
        Vec::new()
    };
    Ok(Some(NodeInfo {
        node_type: kind,
        node_name: row.try_get("node_name")?,
        global_watermark: row.try_get("global_watermark")?,
        local_watermark: row.try_get("local_watermark")?,
        provider_node: row.try_get("provider_node")?,
        provider_location: row.try_get("provider_location")?,
        combined_queue: row.try_get("combined_queue")?,
        combined_type: node_type(&row, "combined_type")?,
        worker_name: row.try_get("worker_name")?,
        worker_paused: row.try_get::<_, Option<bool>>("worker_paused")?.unwrap_or(false),
        worker_uptodate: row.try_get::<_, Option<bool>>("worker_uptodate")?.unwrap_or(false),
        worker_last_tick: row.try_get("worker_last_tick")?,
        node_attrs: row.try_get("node_attrs")?,
        target_for,
    }))
}

/// What [`create_node`] creates. For a root all optional fields have to be `None`.
#[derive(Debug, Clone, Copy)]
pub struct NewNode<'a> {
    /// Type of the node.
    pub node_type: NodeType,
    /// Name of the node; its location has to be registered already.
    pub node_name: &'a str,
    /// Consumer name of the node's worker.
    pub worker_name: &'a str,
    /// Node to read from.
    pub provider_node: Option<&'a str>,
    /// Tick to start from, as [`register_subscriber`](super::register_subscriber) returned it.
    pub global_watermark: Option<i64>,
    /// Queue in the same database that a merge leaf feeds.
    pub combined_queue: Option<&'a str>,
}

/// Creates the local node: the queue (except on a leaf), the node's row, and its worker's state.
///
/// # Errors
/// 401 when the node exists already or the arguments do not fit its type.
pub async fn create_node<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    node: &NewNode<'_>,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::CREATE_NODE,
            &[
                (&queue, Type::TEXT),
                (&node.node_type.as_str(), Type::TEXT),
                (&node.node_name, Type::TEXT),
                (&node.worker_name, Type::TEXT),
                (&node.provider_node, Type::TEXT),
                (&node.global_watermark, Type::INT8),
                (&node.combined_queue, Type::TEXT),
            ],
        )
        .await?;
    Reply::from_row(&row)
}

/// Drops the local node when `node` is its name (or the queue has no node here), else what this node knows of
/// the other one: subscription and location.
///
/// # Errors
/// 405 when `node` is the provider of the local node.
pub async fn drop_node<C: GenericClient + Sync>(client: &C, queue: &str, node: &str) -> Result<Reply> {
    let row = client.query_typed_one(sql::DROP_NODE, &[(&queue, Type::TEXT), (&node, Type::TEXT)]).await?;
    Reply::from_row(&row)
}

/// Stores the urlencoded attributes of the local node.
///
/// # Errors
/// 404 when there is no node.
pub async fn set_node_attrs<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    attrs: Option<&str>,
) -> Result<Reply> {
    let row =
        client.query_typed_one(sql::SET_NODE_ATTRS, &[(&queue, Type::TEXT), (&attrs, Type::TEXT)]).await?;
    Reply::from_row(&row)
}

/// Whether the local node is the root.
///
/// # Errors
/// The server's exception when there is no node of that queue.
pub async fn is_root_node<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<bool> {
    Ok(client.query_typed_one(sql::IS_ROOT_NODE, &[(&queue, Type::TEXT)]).await?.try_get(0)?)
}

/// Whether the local node is a leaf.
///
/// # Errors
/// The server's exception when there is no node of that queue.
pub async fn is_leaf_node<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<bool> {
    Ok(client.query_typed_one(sql::IS_LEAF_NODE, &[(&queue, Type::TEXT)]).await?.try_get(0)?)
}

/// Version of schema `pgq_node`; `None` where the original was installed without its extension.
///
/// # Errors
/// Whatever the server reports.
pub async fn version<C: GenericClient + Sync>(client: &C) -> Result<Option<String>> {
    Ok(client.query_typed_one(sql::VERSION, &[]).await?.try_get(0)?)
}
