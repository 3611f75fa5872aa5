//! `pause` and `resume`: ask the node's worker to stand still, and wait until it says that it has seen that.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pgq::cascade;
use skytools::db::Connection;
use skytools::{Error, Result};

use super::session::{Session, expect_args};

/// Pauses or resumes the node's worker and waits until it has taken notice.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Do not wait for the worker.
    #[arg(long)]
    no_wait: bool,
}

const POLL: Duration = Duration::from_millis(500);
/// After this long without an answer the operator is told what may be wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `pause` (`paused`) or `resume`.
///
/// # Errors
/// No such consumer on any node, somebody else flipping the flag meanwhile, or a signal.
pub async fn run(session: &Session, paused: bool, args: &Args) -> Result<ExitCode> {
    expect_args(if paused { "pause" } else { "resume" }, &args.args, &[])?;
    let local = session.local().await?;
    let (node, connection) = find_consumer(session, local).await?;
    set(session, &connection, &node, paused, !args.no_wait).await?;
    Ok(ExitCode::SUCCESS)
}

/// The node that keeps the state of this job's consumer: the local one, or else any member.
///
/// # Errors
/// No node has it.
pub async fn find_consumer(session: &Session, local: Connection) -> Result<(String, Connection)> {
    let info = session.local_node(&*local).await?;
    let here = async |connection: &Connection| -> Result<bool> {
        let consumers = cascade::consumer_info(&**connection, session.queue()).await?;
        Ok(consumers.iter().any(|c| c.consumer == session.job()))
    };
    if here(&local).await? {
        return Ok((info.node_name, local));
    }
    for member in cascade::queue_locations(&*local, session.queue()).await? {
        if member.dead || member.node == info.node_name {
            continue;
        }
        match session.remote(&member.connstr, &format!("node \"{}\"", member.node)).await {
            Ok(connection) if here(&connection).await? => return Ok((member.node, connection)),
            Ok(_) => {}
            Err(e) => tracing::warn!("cannot look for the consumer there: {}", e.chain()),
        }
    }
    Err(Error::not_found(format!("Consumer not found: \"{}\" is no consumer on any node", session.job()))
        .hint("the worker's name is job_name; \"status\" lists the nodes"))
}

/// Sets the flag and waits for the acknowledgement.
///
/// # Errors
/// Somebody else flipping the flag meanwhile, or a signal.
pub async fn set(
    session: &Session,
    connection: &Connection,
    node: &str,
    paused: bool,
    wait: bool,
) -> Result<()> {
    let (queue, consumer) = (session.queue(), session.job());
    cascade::set_consumer_paused(&**connection, queue, consumer, paused).await?.log_from(node);
    if !wait {
        return Ok(());
    }
    tracing::info!("Waiting for worker to accept");
    let begun = Instant::now();
    let mut told = false;
    loop {
        let state = cascade::consumer_state(&**connection, queue, consumer).await?;
        if state.paused != paused {
            return Err(Error::state(format!(
                "Consumer {consumer} on node \"{node}\" was {} by somebody else meanwhile",
                if state.paused { "paused" } else { "resumed" }
            )));
        }
        if state.uptodate {
            tracing::info!(
                "Consumer '{consumer}' on node '{node}' {}",
                if paused { "paused" } else { "resumed" }
            );
            return Ok(());
        }
        if !told && begun.elapsed() >= PATIENCE {
            told = true;
            tracing::warn!(
                "worker \"{consumer}\" has not answered for {} s; is it running (\"{}\")?",
                begun.elapsed().as_secs(),
                session.again("worker -d")
            );
        }
        session.sleep(POLL).await?;
    }
}
