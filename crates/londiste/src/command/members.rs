//! `members`: the nodes that the local one knows.

use std::process::ExitCode;

use pgq::cascade;
use skytools::Result;

use super::listing::Listing;
use super::session::{Session, expect_args, shown_location};

/// Shows the nodes of the queue, as this node knows them.
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
    expect_args("members", &args.args, &[])?;
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let mut listing = Listing::new(
        format!("Member info on {}@{}:", info.node_name, session.queue()),
        &["node_name", "dead", "node_location"],
    );
    for member in cascade::queue_locations(&*local, session.queue()).await? {
        listing.push(vec![member.node.into(), member.dead.into(), shown_location(&member.connstr).into()]);
    }
    listing.print(args.json)?;
    Ok(ExitCode::SUCCESS)
}
