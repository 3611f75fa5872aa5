//! `drop-node`: remove a node from the cascade.
//!
//! Order: the root forgets it (and tells everybody by an event), the node itself is emptied, then every other node
//! is told directly. Each step may be repeated, so after a failure the same command finishes what is left.

use std::process::ExitCode;

use pgq::cascade::{self, Location, NodeInfo, NodeType};
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use super::session::{Session, expect_args};
use super::sql;

/// Removes a node from the cascade; its tables keep their rows.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the node.
    #[arg(value_name = "NODE")]
    args: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// An unknown node, one that others still read from, or steps that failed (the others were done).
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("drop-node", &args.args, &["node_name"])?;
    let name = args.args[0].as_str();
    let queue = session.queue();
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let members = cascade::queue_locations(&*local, queue).await?;
    let Some(member) = members.iter().find(|m| m.node == name) else {
        return Err(Error::not_found(format!("node \"{name}\" is not known on node \"{}\"", info.node_name))
            .hint(format!("\"{}\" lists the nodes", session.again("members"))));
    };
    let mut failures: Vec<String> = Vec::new();
    let target = open_target(session, &info, member, &mut failures).await?;
    let target_info = match &target {
        Some(connection) => cascade::load_node_info(&**connection, queue).await?,
        None => None,
    };
    if let Some(connection) = &target {
        refuse_with_subscribers(session, connection, name).await?;
    }
    if target_info.as_ref().is_none_or(|t| t.node_type != NodeType::Root)
        && let Err(e) = unregister_on_root(session, name).await
    {
        note(&mut failures, format!("Unregister from root failed: {}", e.chain()));
    }
    if let Some(connection) = &target {
        match cascade::drop_node(&**connection, queue, name).await {
            Ok(reply) => reply.log(),
            Err(e) => note(&mut failures, format!("Local drop failure: {}", e.chain())),
        }
    }
    let worker = target_info.as_ref().and_then(|t| t.worker_name.clone());
    for member in members.iter().filter(|m| m.node != name && !m.dead) {
        if let Err(e) = forget(session, &info, member, name, worker.as_deref()).await {
            note(&mut failures, format!("Failed to remove from '{}': {}", member.node, e.chain()));
        }
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::state(format!("node \"{name}\" is not gone everywhere: {}", failures.join("; "))).hint(format!(
        "run \"{}\" again when all nodes can be reached; \"tag-dead {name}\" first, if it will never come back",
        session.again(&format!("drop-node {name}"))
    )))
}

fn note(failures: &mut Vec<String>, text: String) {
    tracing::warn!("{text}");
    failures.push(text);
}

/// The node's own database. Unreachable is a failure to report at the end, except for a node that is tagged dead.
async fn open_target(
    session: &Session,
    info: &NodeInfo,
    member: &Location,
    failures: &mut Vec<String>,
) -> Result<Option<Connection>> {
    if member.node == info.node_name {
        return session.local().await.map(Some);
    }
    match session.remote(&member.connstr, &format!("node \"{}\"", member.node)).await {
        Ok(connection) => Ok(Some(connection)),
        Err(e) if member.dead => {
            tracing::warn!("dead node \"{}\" is left as it is: {}", member.node, e.chain());
            Ok(None)
        }
        Err(e) => {
            note(failures, format!("Local drop failure: {}", e.chain()));
            Ok(None)
        }
    }
}

async fn refuse_with_subscribers(session: &Session, connection: &Connection, name: &str) -> Result<()> {
    let subscribers = match cascade::subscriber_info(&**connection, session.queue()).await {
        Ok(subscribers) => subscribers,
        // The schema is gone from that database: nobody can read from it.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if subscribers.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = subscribers.iter().map(|s| s.node.as_str()).collect();
    Err(Error::state(format!("node still has subscribers: {} read from \"{name}\"", names.join(", ")))
        .hint("point them at another node with \"change-provider --provider=NODE\", or drop them first"))
}

async fn unregister_on_root(session: &Session, name: &str) -> Result<()> {
    let (root, info) = session.find_root(session.local().await?).await?;
    cascade::unregister_location(&*root, session.queue(), name).await?.log_from(&info.node_name);
    Ok(())
}

/// Makes another node forget the dropped one, with the consumers that its copies may have left there: those would
/// keep event tables from being rotated for ever.
async fn forget(
    session: &Session,
    info: &NodeInfo,
    member: &Location,
    name: &str,
    worker: Option<&str>,
) -> Result<()> {
    let queue = session.queue();
    let connection = if member.node == info.node_name {
        session.local().await?
    } else {
        session.remote(&member.connstr, &format!("node \"{}\"", member.node)).await?
    };
    let subscribers = cascade::subscriber_info(&*connection, queue).await?;
    let worker = worker
        .map(str::to_owned)
        .or_else(|| subscribers.into_iter().find(|s| s.node == name).map(|s| s.worker));
    cascade::drop_node(&*connection, queue, name).await?.log_from(&member.node);
    if let Some(worker) = worker {
        let prefix = format!("{worker}.copy.");
        let left = connection
            .query_typed(sql::COPY_CONSUMERS, &[(&queue, Type::TEXT), (&prefix, Type::TEXT)])
            .await?;
        for row in &left {
            let consumer: &str = row.try_get(0)?;
            connection
                .query_typed(sql::UNREGISTER_PLAIN_CONSUMER, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)])
                .await?;
            tracing::info!("[{}] Consumer dropped: {consumer}", member.node);
        }
    }
    Ok(())
}
