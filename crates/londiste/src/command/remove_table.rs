//! `remove-table`: stop replicating tables on this node; on the root, everywhere.

use std::process::ExitCode;

use pgq::cascade::NodeType;
use skytools::Result;
use tokio_postgres::types::Type;

use super::expansion::{Candidates, Unknown, expand};
use super::session::{Session, call, or_hint};
use super::sql;
use crate::TableRow;

/// Stops replicating tables on this node. On the root they leave every node.
///
/// Rows stay where they are; the triggers of this queue are dropped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables of this node, when no name is given.
    #[arg(long)]
    all: bool,
    /// Try names that this node does not have.
    #[arg(long)]
    force: bool,
}

/// Runs the command; all tables or none.
///
/// # Errors
/// Names that are not replicated here.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let queue = session.queue();
    let mut local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let rows = TableRow::load_all(&*local, queue).await?;
    let candidates = Candidates {
        open: rows.iter().filter(|t| t.local).map(|t| t.table_name.clone()).collect(),
        done: rows
            .iter()
            .filter(|t| !t.local && info.node_type != NodeType::Root)
            .map(|t| t.table_name.clone())
            .collect(),
    };
    let unknown = if args.force { Unknown::Force } else { Unknown::Refuse };
    let names = expand(&args.tables, args.all, &candidates, unknown).map_err(|e| {
        or_hint(e, || format!("\"{}\" lists the tables of this node", session.again("tables")))
    })?;
    let tx = local.transaction().await?;
    for name in &names {
        call(&tx, sql::LOCAL_REMOVE_TABLE, &[(&queue, Type::TEXT), (name, Type::TEXT)])
            .await
            .map_err(|e| e.context(format!("removing table {name}; nothing was changed")))?
            .log();
    }
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}
