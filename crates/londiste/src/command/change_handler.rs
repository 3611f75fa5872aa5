//! `change-handler`: another handler for a table that is replicated already.

use std::process::ExitCode;

use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::expansion::full_name;
use super::handler_string::handler_string;
use super::session::{Session, call, expect_args};
use super::sql;
use crate::TableRow;

/// Changes or removes the handler of a table, and its trigger with it. Rows that are here are not copied again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the table.
    #[arg(value_name = "TABLE")]
    args: Vec<String>,
    /// Handler that applies the table's events; without it the present one is removed.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Argument of the handler (may be repeated).
    #[arg(long, value_name = "KEY=VALUE", requires = "handler")]
    handler_arg: Vec<String>,
    /// Kind of trigger: I, U, D events; B before, A after; L, Q, J format; S skip.
    #[arg(long, value_name = "BAIUDLQJS")]
    trigger_flags: Option<String>,
    /// Additional trigger argument (may be repeated).
    #[arg(long, value_name = "ARG")]
    trigger_arg: Vec<String>,
    /// Create no triggers.
    #[arg(long)]
    no_triggers: bool,
}

/// Runs the command.
///
/// # Errors
/// A table that this node does not replicate.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("change-handler", &args.args, &["tbl"])?;
    let name = full_name(&args.args[0]);
    let handler = args.handler.as_deref().map(|h| handler_string(h, &args.handler_arg)).transpose()?;
    let built = crate::handler::build(handler.as_deref())?;
    let mut local = session.local().await?;
    session.local_node(&*local).await?;
    let tables = TableRow::load_all(&*local, session.queue()).await?;
    let table = tables.into_iter().find(|t| t.local && t.table_name == name).ok_or_else(|| {
        Error::not_found(format!("Table {name} not found on this node"))
            .hint(format!("\"{}\" lists the tables of this node", session.again("tables")))
    })?;
    if table.attrs.handler() == handler.as_deref() {
        tracing::info!("Handler is already set to desired value, nothing done");
        return Ok(ExitCode::SUCCESS);
    }
    let mut attrs = table.attrs.clone();
    attrs.remove("handlers");
    match &handler {
        Some(handler) => attrs.set("handler", handler),
        None => attrs.remove("handler"),
    }
    let mut trigger_args = args.trigger_arg.clone();
    trigger_args.extend(args.trigger_flags.as_ref().map(|flags| format!("tgflags={flags}")));
    trigger_args.extend(args.no_triggers.then(|| "no_triggers".to_owned()));
    trigger_args.extend(built.trigger_args());
    let queue = session.queue();
    let tx = local.transaction().await?;
    call(
        &tx,
        sql::LOCAL_CHANGE_HANDLER,
        &[
            (&queue, Type::TEXT),
            (&name, Type::TEXT),
            (&trigger_args, Type::TEXT_ARRAY),
            (&attrs.to_stored(), Type::TEXT),
        ],
    )
    .await
    .map_err(|e| e.context(format!("changing the handler of table {name}; nothing was changed")))?
    .log();
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}
