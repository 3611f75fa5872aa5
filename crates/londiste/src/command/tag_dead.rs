//! `tag-dead` and `tag-alive`: tell every node that some are gone, or back.

use std::process::ExitCode;

use pgq::cascade;
use skytools::{Error, Result};

use super::session::Session;

/// Tells every reachable node that the named ones are gone (or back).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of the nodes.
    #[arg(value_name = "NODE")]
    args: Vec<String>,
}

/// Runs `tag-dead` (`dead`) or `tag-alive`.
///
/// # Errors
/// No names, or an unknown one. Nodes that cannot be reached are reported and skipped.
pub async fn run(session: &Session, dead: bool, args: &Args) -> Result<ExitCode> {
    let word = if dead { "dead" } else { "alive" };
    if args.args.is_empty() {
        return Err(Error::usage(format!("command 'tag-{word}' needs the name of a node")));
    }
    let queue = session.queue();
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let members = cascade::queue_locations(&*local, queue).await?;
    for name in &args.args {
        if !members.iter().any(|m| m.node == *name) {
            return Err(Error::not_found(format!(
                "node \"{name}\" is not known on node \"{}\"",
                info.node_name
            ))
            .hint(format!("\"{}\" lists the nodes", session.again("members"))));
        }
        if *name == info.node_name && dead {
            return Err(Error::usage(format!("node \"{name}\" is the local one and evidently alive"))
                .hint("run tag-dead with the configuration of another node"));
        }
    }
    for name in &args.args {
        tracing::info!("Tagging node '{name}' as {word}");
        cascade::register_location(&*local, queue, name, None, dead).await?.log_from(&info.node_name);
    }
    let others = members.iter().filter(|m| m.node != info.node_name);
    for member in
        others.filter(|m| !(args.args.contains(&m.node) && dead) && (!m.dead || args.args.contains(&m.node)))
    {
        let told = async {
            let connection = session.remote(&member.connstr, &format!("node \"{}\"", member.node)).await?;
            for name in &args.args {
                cascade::register_location(&*connection, queue, name, None, dead)
                    .await?
                    .log_from(&member.node);
            }
            Ok::<(), Error>(())
        };
        if let Err(e) = told.await {
            tracing::warn!("node \"{}\" was not told: {}", member.node, e.chain());
        }
    }
    Ok(ExitCode::SUCCESS)
}
