//! `change-provider`: let the node's worker read from another node.
//!
//! The worker stands still while it is moved: pause, subscribe on the new provider at the worker's own position,
//! point the worker there, resume, unsubscribe on the old provider. All nodes have the same tick ids, so the
//! position means the same everywhere. A failure before the switch resumes the worker where it was.

use std::process::ExitCode;

use pgq::cascade::{self, NodeType};
use skytools::db::Connection;
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::pause;
use super::session::{Session, expect_args};
use super::{sql, worker_name};

/// Lets this node read from another one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Name of the node to read from.
    #[arg(long, value_name = "NODE")]
    provider: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// An unknown node, the node itself, a leaf, or a tick that the new provider does not have any more.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("change-provider", &args.args, &[])?;
    let queue = session.queue();
    let new = args.provider.as_deref().ok_or_else(|| Error::usage("Please give --provider"))?;
    let local = session.local().await?;
    let (node, connection) = pause::find_consumer(session, local).await?;
    if node == new {
        return Err(Error::usage(format!("node \"{node}\" cannot subscribe to itself")));
    }
    let members = cascade::queue_locations(&*connection, queue).await?;
    let unknown = || {
        Error::not_found(format!("node \"{new}\" is not known on node \"{node}\""))
            .hint(format!("\"{}\" lists the nodes", session.again("members")))
    };
    let target = members.iter().find(|m| m.node == new).ok_or_else(unknown)?;
    let state = cascade::consumer_state(&*connection, queue, session.job()).await?;
    if state.provider_node == new {
        tracing::info!("Consumer '{}' at node '{node}' has already '{new}' as provider", session.job());
        return Ok(ExitCode::SUCCESS);
    }
    let info = session.local_node(&*connection).await?;
    if info.node_type == NodeType::Root {
        return Err(Error::state(format!("node \"{node}\" is the root and reads from no other node"))
            .hint("takeover changes the root"));
    }
    // Looked at before the worker is paused, so that a refusal changes nothing.
    let provider = session.remote(&target.connstr, &format!("node \"{new}\"")).await?;
    if session.local_node(&*provider).await?.node_type == NodeType::Leaf {
        return Err(Error::usage(format!("Cannot subscribe to leaf node \"{new}\"")));
    }
    let is_worker = info.worker_name.as_deref() == Some(session.job());
    if is_worker {
        worker_name::refuse_taken(session, &provider, new, &node).await?;
    }
    pause::set(session, &connection, &node, true, true).await?;
    let location = members.iter().find(|m| m.node == node).map(|m| m.connstr.as_str());
    if let Err(e) = switch(session, &connection, provider, &node, new, location, is_worker).await {
        pause::set(session, &connection, &node, false, false).await?;
        return Err(e.context(format!(
            "moving \"{node}\" to provider \"{new}\"; it reads from \"{}\" as before",
            state.provider_node
        )));
    }
    pause::set(session, &connection, &node, false, true).await?;
    let old = members.iter().find(|m| m.node == state.provider_node);
    let left = match old {
        Some(old) => leave(session, &old.node, &old.connstr, &node, is_worker).await,
        None => Err(Error::not_found("its location is not known")),
    };
    if let Err(e) = left {
        tracing::warn!("failed to unregister from old provider ({}): {}", state.provider_node, e.chain());
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(
    session: &Session,
    connection: &Connection,
    mut provider: Connection,
    node: &str,
    new: &str,
    location: Option<&str>,
    is_worker: bool,
) -> Result<()> {
    let (queue, consumer) = (session.queue(), session.job());
    // The worker stands still now: this is the position to continue from.
    let tick = cascade::consumer_state(&**connection, queue, consumer).await?.completed_tick;
    let tx = provider.transaction().await?;
    cascade::register_location(&tx, queue, node, location, false).await?.log_from(new);
    if is_worker {
        if cascade::subscriber_info(&tx, queue).await?.iter().any(|s| s.node == node) {
            cascade::unregister_subscriber(&tx, queue, node).await?.log_from(new);
        }
        cascade::register_subscriber(&tx, queue, node, consumer, Some(tick)).await?.0.log_from(new);
    } else {
        tx.query_typed(
            sql::REGISTER_PLAIN_CONSUMER_AT,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&tick, Type::INT8)],
        )
        .await?;
    }
    tx.commit().await?;
    cascade::change_consumer_provider(&**connection, queue, consumer, new).await?.log_from(node);
    Ok(())
}

async fn leave(session: &Session, old: &str, location: &str, node: &str, is_worker: bool) -> Result<()> {
    let connection = session.remote(location, &format!("node \"{old}\"")).await?;
    if is_worker {
        cascade::unregister_subscriber(&*connection, session.queue(), node).await?.log_from(old);
    } else {
        connection
            .query_typed(
                sql::UNREGISTER_PLAIN_CONSUMER,
                &[(&session.queue(), Type::TEXT), (&session.job(), Type::TEXT)],
            )
            .await?;
    }
    Ok(())
}
