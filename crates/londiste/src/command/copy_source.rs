//! The node that tables are copied from: the provider, or the one that `--copy-node` names.

use pgq::cascade::{self, NodeInfo};
use skytools::db::Connection;
use skytools::{Error, Result};

use super::session::Session;

/// An open connection to the node to copy from.
pub struct CopySource {
    /// Name of the node.
    pub node: String,
    /// Its database.
    pub connection: Connection,
}

/// Opens the node to copy from.
///
/// # Errors
/// An unknown node, the local node itself, or one that cannot be reached.
pub async fn open(
    session: &Session,
    local: &Connection,
    info: &NodeInfo,
    copy_node: Option<&str>,
) -> Result<CopySource> {
    let (node, location) = match copy_node {
        Some(node) => {
            if node == info.node_name {
                return Err(Error::usage(format!(
                    "Cannot use itself as provider: \"{node}\" is the local node"
                )));
            }
            let members = cascade::queue_locations(&**local, session.queue()).await?;
            let member = members.into_iter().find(|m| m.node == node).ok_or_else(|| {
                Error::not_found(format!("Cannot find node <{node}>"))
                    .hint(format!("\"{}\" lists the nodes", session.again("members")))
            })?;
            (member.node, member.connstr)
        }
        None => match (&info.provider_node, &info.provider_location) {
            (Some(node), Some(location)) => (node.clone(), location.clone()),
            _ => return Err(Error::state(format!("node \"{}\" has no provider", info.node_name))),
        },
    };
    let connection = session.remote(&location, &format!("node \"{node}\"")).await?;
    Ok(CopySource { node, connection })
}

/// The nearest node, from the provider upwards, on which every one of the tables is replicated.
///
/// # Errors
/// No node up to the root has them all.
pub async fn find_upwards(session: &Session, from: CopySource, tables: &[String]) -> Result<CopySource> {
    let mut source = from;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let rows = crate::TableRow::load_all(&*source.connection, session.queue()).await?;
        let has = |name: &String| rows.iter().any(|t| t.local && t.table_name == *name);
        if tables.iter().all(has) {
            return Ok(source);
        }
        let info = session.local_node(&*source.connection).await?;
        seen.push(source.node.clone());
        let (node, location) = match (info.provider_node, info.provider_location) {
            (Some(node), Some(location)) if !seen.contains(&node) => (node, location),
            _ => {
                let absent: Vec<&str> = tables.iter().filter(|t| !has(t)).map(String::as_str).collect();
                return Err(Error::not_found(format!(
                    "Found root and no source found: node \"{}\" does not have {}",
                    source.node,
                    absent.join(", ")
                )));
            }
        };
        let connection = session.remote(&location, &format!("node \"{node}\"")).await?;
        source = CopySource { node, connection };
    }
}
