//! A node's worker needs a consumer of its own on the provider.
//!
//! Its name is `job_name`, and an INI file copied from another node brings that node's along. One consumer has one
//! position: two nodes that share it take each other's batches, and rotation does not wait for the slower one.
//! `pgq_node.register_subscriber` refuses that, but the original's does not, and commands have changed other nodes by then.

use pgq::cascade;
use skytools::db::Connection;
use skytools::{Error, Result, quote};
use tokio_postgres::types::Type;

use super::session::Session;
use super::sql;

/// Fails when the consumer that the worker of `node` would have on its provider is somebody else's. One that the node
/// has there already, from a command that did not end, is its own.
///
/// # Errors
/// The name is taken; whatever the server reports.
pub async fn refuse_taken(
    session: &Session,
    provider: &Connection,
    provider_name: &str,
    node: &str,
) -> Result<()> {
    let (queue, worker) = (session.queue(), session.job());
    let subscribers = cascade::subscriber_info(&**provider, queue).await?;
    let holders = || subscribers.iter().filter(|s| s.worker == worker);
    if let Some(other) = holders().find(|s| s.node != node) {
        return Err(Error::state(format!(
            "worker \"{worker}\" of node \"{}\" reads queue \"{queue}\" on node \"{provider_name}\" already",
            other.node
        ))
        .hint(format!("give key job_name of node \"{node}\" another value")));
    }
    if holders().next().is_some() {
        return Ok(());
    }
    let found = provider.query_typed(sql::CONSUMER, &[(&queue, Type::TEXT), (&worker, Type::TEXT)]).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::state(format!(
        "consumer \"{worker}\" reads queue \"{queue}\" on node \"{provider_name}\" already and is not the worker of node \"{node}\""
    ))
    .hint(format!(
        "give key job_name of node \"{node}\" another value, or end that consumer there: select pgq.unregister_consumer({}, {})",
        quote::literal(queue),
        quote::literal(worker)
    )))
}
