//! `resync`: copy tables again.

use std::process::ExitCode;

use pgq::cascade::{self, NodeType};
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::expansion::{Candidates, Unknown, expand};
use super::session::{Session, call, or_hint};
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
    let candidates = Candidates {
        open: rows.iter().filter(|t| t.local).map(|t| t.table_name.clone()).collect(),
        done: std::collections::HashSet::new(),
    };
    let unknown = if args.force { Unknown::Force } else { Unknown::Refuse };
    let names = expand(&args.tables, args.all, &candidates, unknown).map_err(|e| {
        or_hint(e, || format!("\"{}\" lists the tables of this node", session.again("tables")))
    })?;
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
    let tx = local.transaction().await?;
    for name in &names {
        let place = |e: Error| e.context(format!("resetting table {name}; nothing was changed"));
        if let Some(node) = args.find_copy_node.then_some("?").or(args.copy_node.as_deref()) {
            let mut attrs =
                rows.iter().find(|t| t.table_name == *name).map(|t| t.attrs.clone()).unwrap_or_default();
            attrs.set("copy_node", node);
            call(
                &tx,
                sql::LOCAL_SET_TABLE_ATTRS,
                &[(&queue, Type::TEXT), (name, Type::TEXT), (&attrs.to_stored(), Type::TEXT)],
            )
            .await
            .map_err(place)?
            .log();
        }
        if let Some(row) = rows.iter().find(|t| t.table_name == *name && t.dropped_ddl.is_some()) {
            crate::copy::abandon(tx.client(), queue, row).await.map_err(place)?;
            continue;
        }
        let none: Option<&str> = None;
        call(
            &tx,
            sql::LOCAL_SET_TABLE_STATE,
            &[(&queue, Type::TEXT), (name, Type::TEXT), (&none, Type::TEXT), (&none, Type::TEXT)],
        )
        .await
        .map_err(place)?
        .log();
    }
    tx.commit().await?;
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
