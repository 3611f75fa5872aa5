//! `resync`: copy tables again.

use std::process::ExitCode;

use pgq::cascade::{self, NodeType};
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::each::{all_or_none, chosen, local_tables};
use super::session::{Session, call};
use super::{sql, wait_sync};
use crate::TableRow;

/// Copies tables again from the provider. The worker starts the copy with its next batch.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables of this node, when no name is given.
    #[arg(long)]
    all: bool,
    /// Copy from the nearest node upwards that has the table.
    #[arg(long, conflicts_with = "copy_node")]
    find_copy_node: bool,
    /// Copy from this node.
    #[arg(long, value_name = "NODE")]
    copy_node: Option<String>,
    /// Wait until all tables are in sync.
    #[arg(long)]
    wait_sync: bool,
    /// Try names that this node does not have.
    #[arg(long)]
    force: bool,
}

/// Runs the command; all tables or none.
///
/// # Errors
/// Names that are not replicated here, or not on the node to copy from.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let queue = session.queue();
    let mut local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let rows = TableRow::load_all(&*local, queue).await?;
    let names =
        chosen(session, "tables", &args.tables, args.all, args.force, &local_tables(&rows, |_| false))?;
    if names.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if info.node_type == NodeType::Root {
        return Err(Error::state(format!(
            "node \"{}\" is the root: there is no node to copy from",
            info.node_name
        ))
        .hint("run resync with the configuration of the node whose data is to be replaced"));
    }
    if !args.find_copy_node {
        check_source(session, &local, &info, args, &names).await?;
    }
    all_or_none(&mut local, &names, "resetting table", async |tx, name| {
        crate::sync::ring_worker(tx.client(), queue).await?;
        let row = rows.iter().find(|t| t.table_name == name);
        if let Some(node) = args.find_copy_node.then_some("?").or(args.copy_node.as_deref()) {
            let mut attrs = row.map(|t| t.attrs.clone()).unwrap_or_default();
            attrs.set("copy_node", node);
            call(
                tx,
                sql::LOCAL_SET_TABLE_ATTRS,
                &[(&queue, Type::TEXT), (&name, Type::TEXT), (&attrs.to_stored(), Type::TEXT)],
            )
            .await?
            .log();
        }
        if let Some(row) = row {
            // What a copy has dropped by now is looked at there, under the row's lock.
            return crate::copy::abandon(tx.client(), queue, row).await;
        }
        let none: Option<&str> = None;
        call(
            tx,
            sql::LOCAL_SET_TABLE_STATE,
            &[(&queue, Type::TEXT), (&name, Type::TEXT), (&none, Type::TEXT), (&none, Type::TEXT)],
        )
        .await?
        .log();
        Ok(())
    })
    .await?;
    if args.wait_sync {
        wait_sync::wait(session, &local).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn check_source(
    session: &Session,
    local: &skytools::db::Connection,
    info: &cascade::NodeInfo,
    args: &Args,
    names: &[String],
) -> Result<()> {
    let source = super::copy_source::open(session, local, info, args.copy_node.as_deref()).await?;
    let rows = TableRow::load_all(&*source.connection, session.queue()).await?;
    let absent: Vec<&str> = names
        .iter()
        .filter(|name| !rows.iter().any(|t| t.local && t.table_name == **name))
        .map(String::as_str)
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Error::state(format!(
        "{} does not exist on provider \"{}\", need to switch to different provider; nothing was changed",
        absent.join(", "),
        source.node
    ))
    .hint("--find-copy-node searches upwards, --copy-node=NODE names a node that has it"))
}
