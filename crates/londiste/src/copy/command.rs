//! `londiste INI copy TABLE`: a copy as a process of its own.
//!
//! The worker runs copies itself; this command is for whoever wants one on another machine or under other limits.
//! The advisory lock keeps the two apart.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use skytools::config::Config;
use skytools::service::{Signals, Wake};
use skytools::{Error, Result};

use super::sessions::Sessions;
use super::task::{Copier, Ended};
use crate::settings::Settings;
use crate::sync::Bell;
use crate::table::TableRow;

/// Arguments of `copy`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Table to copy, as registered (schema "public" unless given).
    #[arg(value_name = "TABLE")]
    pub table: String,
}

/// Copies the table and hands it over to the worker, which has to run as well.
///
/// # Errors
/// An unknown table; a table that needs no copy is no error.
pub async fn command(config: Config, args: Args, signals: Signals) -> Result<ExitCode> {
    let settings = Arc::new(Settings::read(&config)?);
    let table = if args.table.contains('.') { args.table } else { format!("public.{}", args.table) };
    let local = settings.connect_local(&settings.copy_consumer(&table)).await?;
    let rows = TableRow::load_all(&*local, &settings.queue).await?;
    let Some(row) = rows.into_iter().find(|t| t.local && t.table_name == table) else {
        return Err(Error::not_found(format!("table {table} is not registered on this node"))
            .hint("add it with \"londiste INI add-table TABLE\"; the worker starts the copy"));
    };
    if !row.merge_state.is_copying() {
        tracing::info!(table, state = %row.merge_state, "nothing to copy; the worker begins a copy, \"resync\" asks for one");
        return Ok(ExitCode::SUCCESS);
    }
    drop(local);
    let bell = Bell::new();
    let mut copier = Copier::new(settings, &table, bell, Sessions::default());
    let stopped = async { while signals.sleep(Duration::from_secs(3600)).await != Wake::Stop {} };
    tokio::select! {
        ended = copier.run() => {
            match ended {
                Ended::HandedOver => tracing::info!(table, "the worker has the table now"),
                Ended::NotNeeded => tracing::info!(table, "the copy is not needed any more"),
                Ended::StartOver => tracing::warn!(table, "the table is back at its beginning, the worker copies it again"),
            }
        }
        () = stopped => tracing::info!(table, "stopped; the copy goes on where it was when it is started again"),
    }
    Ok(ExitCode::SUCCESS)
}
