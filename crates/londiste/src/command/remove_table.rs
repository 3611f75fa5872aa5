//! `remove-table`: stop replicating tables on this node; on the root, everywhere.

use std::process::ExitCode;

use pgq::cascade::NodeType;
use skytools::Result;
use tokio_postgres::types::Type;

use super::each::{all_or_none, chosen, local_tables};
use super::session::{Session, call};
use super::{pending_fkeys, sql};
use crate::TableRow;
use crate::settings::with_login_path;

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
    let candidates = local_tables(&rows, |_| info.node_type != NodeType::Root);
    let names = chosen(session, "tables", &args.tables, args.all, args.force, &candidates)?;
    all_or_none(&mut local, &names, "removing table", async |tx, name| {
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&queue, Type::TEXT), (&name, Type::TEXT)];
        with_login_path(tx, call(tx, sql::LOCAL_REMOVE_TABLE, &params)).await?.log();
        let row = rows.iter().find(|t| t.table_name == name);
        pending_fkeys::warn(tx, row.map_or(name, |t| t.dest())).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
