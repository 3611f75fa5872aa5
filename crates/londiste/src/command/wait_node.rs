//! `wait-root` and `wait-provider`: wait until this node has come past what another node has now.

use std::process::ExitCode;
use std::time::Duration;

use pgq::cascade::NodeType;
use skytools::db::Connection;
use skytools::{Error, Result};

use super::session::{Session, expect_args};

/// Waits for the first tick after those that the other node has now.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
}

/// Which node to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The root of the cascade.
    Root,
    /// The node that the local one reads from.
    Provider,
}

const POLL: Duration = Duration::from_secs(1);
/// After how many looks at the same position it is said what it waits for: with the tick that was asked for it moves within three.
const STILL: u32 = 8;

/// Runs the command.
///
/// # Errors
/// No node, an unreachable node, or a signal.
pub async fn run(session: &Session, target: Target, args: &Args) -> Result<ExitCode> {
    expect_args(if target == Target::Root { "wait-root" } else { "wait-provider" }, &args.args, &[])?;
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    if info.node_type == NodeType::Root {
        tracing::info!("Current node is root, no need to wait");
        return Ok(ExitCode::SUCCESS);
    }
    let (name, tick) = match target {
        Target::Root => {
            tracing::info!("Finding root node");
            let (connection, root) = session.find_root(session.local().await?).await?;
            tracing::info!("Root is {}", root.node_name);
            ask_for_tick(session, &connection).await;
            (root.node_name, root.worker_last_tick)
        }
        Target::Provider => {
            let name = info.provider_node.clone().unwrap_or_default();
            tracing::info!("Provider is {name}");
            let location = info.provider_location.as_deref().unwrap_or_default();
            let provider = session.remote(location, &format!("node \"{name}\"")).await?;
            let provider_info = session.local_node(&*provider).await?;
            if provider_info.node_type == NodeType::Root {
                ask_for_tick(session, &provider).await;
            }
            (provider_info.node_name, provider_info.worker_last_tick)
        }
    };
    let tick =
        tick.ok_or_else(|| Error::state(format!("node \"{name}\" has no worker position to wait for")))?;
    wait(session, &local, tick).await?;
    Ok(ExitCode::SUCCESS)
}

/// Has the next tick made soon: without events it would take as long as `ticker_idle_period`. Whoever may not ask waits that long.
async fn ask_for_tick(session: &Session, root: &Connection) {
    if let Err(error) = pgq::queue::force_tick(&**root, session.queue()).await {
        tracing::info!("The root was not asked for a tick, so this may take a minute: {}", error.chain());
    }
}

async fn wait(session: &Session, local: &Connection, tick: i64) -> Result<()> {
    tracing::info!("Waiting for tick > {tick}");
    let (mut last, mut looks) = (None, 0);
    loop {
        let info = session.local_node(&**local).await?;
        if let Some(reached) = info.worker_last_tick.filter(|reached| *reached > tick) {
            tracing::info!("Got tick {reached}, exiting");
            return Ok(());
        }
        looks = if info.worker_last_tick == last { looks + 1 } else { 0 };
        last = info.worker_last_tick;
        if looks == STILL {
            tracing::warn!(
                "Node \"{}\" is still at tick {}: worker {} must run and reach its provider, and pgqd make ticks on the root",
                info.node_name,
                last.map_or_else(|| "none".to_owned(), |tick| tick.to_string()),
                info.worker_name.as_deref().unwrap_or("(none)")
            );
        }
        session.sleep(POLL).await?;
    }
}
