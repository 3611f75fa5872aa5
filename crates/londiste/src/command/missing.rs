//! `missing`: what could be added to this node.

use std::process::ExitCode;

use skytools::Result;
use skytools::db::Connection;
use tokio_postgres::types::Type;

use super::listing::Listing;
use super::session::{Session, expect_args};
use super::sql;

/// Shows tables ('r') and sequences ('S') that could be added to this node.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Kind and name of everything that could be added.
///
/// # Errors
/// Whatever the server reports.
pub async fn load(local: &Connection, queue: &str) -> Result<Vec<(String, String)>> {
    let rows = local.query_typed(sql::LOCAL_SHOW_MISSING, &[(&queue, Type::TEXT)]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Runs the command.
///
/// # Errors
/// No node of the queue in this database.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("missing", &args.args, &[])?;
    let local = session.local().await?;
    session.local_node(&*local).await?;
    let mut listing = Listing::new("Missing objects on node", &["obj_kind", "obj_name"]);
    for (kind, name) in load(&local, session.queue()).await? {
        listing.push(vec![kind.into(), name.into()]);
    }
    listing.print(args.json)?;
    Ok(ExitCode::SUCCESS)
}
