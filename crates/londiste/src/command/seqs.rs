//! `seqs`: the sequences of the queue.

use std::process::ExitCode;

use skytools::Result;
use tokio_postgres::types::Type;

use super::listing::Listing;
use super::session::{Session, expect_args};
use super::sql;

/// Shows the sequences of the queue, whether this node replicates them, and their last published value.
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
    expect_args("seqs", &args.args, &[])?;
    let local = session.local().await?;
    session.local_node(&*local).await?;
    let mut listing = Listing::new("Sequences on node", &["seq_name", "local", "last_value"]);
    for row in local.query_typed(sql::GET_SEQ_LIST, &[(&session.queue(), Type::TEXT)]).await? {
        let (name, value, is_local): (String, i64, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        listing.push(vec![name.into(), is_local.into(), value.into()]);
    }
    listing.print(args.json)?;
    Ok(ExitCode::SUCCESS)
}
