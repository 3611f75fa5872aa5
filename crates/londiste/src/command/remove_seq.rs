//! `remove-seq`: stop replicating sequences on this node; on the root, everywhere.

use std::process::ExitCode;

use skytools::Result;
use tokio_postgres::types::Type;

use super::each::{all_or_none, chosen};
use super::expansion::Candidates;
use super::session::{Session, call};
use super::sql;

/// Stops replicating sequences on this node. On the root they leave every node.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "SEQUENCE")]
    sequences: Vec<String>,
    /// All sequences of this node, when no name is given.
    #[arg(long)]
    all: bool,
    /// Try names that this node does not have.
    #[arg(long)]
    force: bool,
}

/// Runs the command; all sequences or none.
///
/// # Errors
/// Names that are not replicated here.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let queue = session.queue();
    let mut local = session.local().await?;
    session.local_node(&*local).await?;
    let mut candidates = Candidates::default();
    for row in local.query_typed(sql::GET_SEQ_LIST, &[(&queue, Type::TEXT)]).await? {
        let (name, is_local): (String, bool) = (row.try_get(0)?, row.try_get(2)?);
        if is_local {
            candidates.open.push(name);
        } else {
            candidates.done.insert(name);
        }
    }
    let names = chosen(session, "seqs", &args.sequences, args.all, args.force, &candidates)?;
    all_or_none(&mut local, &names, "removing sequence", async |tx, name| {
        call(tx, sql::LOCAL_REMOVE_SEQ, &[(&queue, Type::TEXT), (&name, Type::TEXT)]).await?.log();
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
