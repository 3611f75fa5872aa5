//! `node-info`: what the local node is, and where it and its provider are.

use std::process::ExitCode;

use pgq::cascade::{self, NodeType};
use serde_json::json;
use skytools::Result;

use super::session::{Session, expect_args, shown_location};

/// Shows type, state, provider and connect strings of the local node.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// No node of the queue in this database.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("node-info", &args.args, &[])?;
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let members = cascade::queue_locations(&*local, session.queue()).await?;
    let member = members.iter().find(|m| m.node == info.node_name);
    let dead = member.is_some_and(|m| m.dead);
    let is_root = info.node_type == NodeType::Root;
    let local_location = shown_location(&session.config().get("db")?);
    let public = member.map(|m| shown_location(&m.connstr));
    let provider_location = info.provider_location.as_deref().map(shown_location);
    if args.json {
        let value = json!({
            "node": info.node_name,
            "type": info.node_type.as_str(),
            "queue": session.queue(),
            "dead": dead,
            "paused": info.worker_paused,
            "uptodate": info.worker_uptodate,
            "worker": info.worker_name,
            "last_tick": info.worker_last_tick,
            "provider": info.provider_node.filter(|_| !is_root),
            "local_location": local_location,
            "public_location": public,
            "provider_location": provider_location.filter(|_| !is_root),
            "combined_queue": info.combined_queue,
            "combined_type": info.combined_type.map(NodeType::as_str),
        });
        println!("{value:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut status = Vec::new();
    if dead {
        status.push("DEAD");
    }
    if info.worker_paused {
        status.push("PAUSED");
    }
    if !info.worker_uptodate {
        status.push("NON-UP-TO-DATE");
    }
    let status = if status.is_empty() { "OK".to_owned() } else { status.join(", ") };
    println!("Node: {}  Type: {}  Queue: {}", info.node_name, info.node_type, session.queue());
    println!("Status: {status}");
    println!("Provider: {}", if is_root { "--" } else { info.provider_node.as_deref().unwrap_or("None") });
    println!("Connect strings:");
    println!("  Local   : {local_location}");
    if let Some(public) = public {
        println!("  Public  : {public}");
    }
    if let Some(location) = provider_location.filter(|_| !is_root) {
        println!("  Provider: {location}");
    }
    if let (Some(queue), Some(kind)) = (&info.combined_queue, info.combined_type) {
        println!("Combined Queue: {queue}  (node type: {kind})");
    }
    Ok(ExitCode::SUCCESS)
}
