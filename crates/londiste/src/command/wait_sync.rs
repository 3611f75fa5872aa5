//! `wait-sync`: wait until every local table is in sync.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pgq::cascade;
use skytools::db::Connection;
use skytools::{Error, Result};

use super::session::{Session, expect_args};
use crate::{MergeState, TableRow};

/// Waits until all tables of this node are in sync.
///
/// Never gives up; errors of the worker are shown while waiting.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
}

/// How often the state of the tables is read.
const POLL: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// No node, a lost connection, or a signal.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("wait-sync", &args.args, &[])?;
    let local = session.local().await?;
    session.local_node(&*local).await?;
    wait(session, &local).await?;
    Ok(ExitCode::SUCCESS)
}

/// Waits; also used by `add-table --wait-sync`.
///
/// # Errors
/// A lost connection, or a signal.
pub async fn wait(session: &Session, local: &Connection) -> Result<()> {
    tracing::info!("Waiting until all tables are in sync");
    let bar = progress_bar()?;
    let mut waiting: HashSet<String> = HashSet::new();
    let mut shown_error: Option<String> = None;
    let mut first = true;
    loop {
        let tables = TableRow::load_all(&**local, session.queue()).await?;
        let tables: Vec<&TableRow> = tables.iter().filter(|t| t.local).collect();
        let open: Vec<&TableRow> =
            tables.iter().filter(|t| t.merge_state != MergeState::Ok).copied().collect();
        if first {
            tracing::info!("{}/{} table(s) to copy", open.len(), tables.len());
            first = false;
        }
        for table in tables.iter().filter(|t| t.merge_state == MergeState::Ok) {
            if waiting.remove(&table.table_name) {
                bar.suspend(|| {
                    tracing::info!(
                        "{}: finished ({}/{})",
                        table.table_name,
                        tables.len() - open.len(),
                        tables.len()
                    );
                });
            }
        }
        waiting.extend(open.iter().map(|t| t.table_name.clone()));
        bar.set_length(u64::try_from(tables.len()).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(tables.len() - open.len()).unwrap_or(u64::MAX));
        bar.set_message(
            open.iter()
                .take(3)
                .map(|t| format!("{} {}", t.table_name, t.merge_state))
                .collect::<Vec<_>>()
                .join(", "),
        );
        if open.is_empty() {
            bar.finish_and_clear();
            tracing::info!("All done");
            return Ok(());
        }
        show_worker_errors(session, local, &mut shown_error, &bar).await?;
        session.sleep(POLL).await.inspect_err(|_| bar.finish_and_clear())?;
    }
}

/// A worker or copy that fails keeps its error in the node's state; somebody who waits wants to know.
async fn show_worker_errors(
    session: &Session,
    local: &Connection,
    shown: &mut Option<String>,
    bar: &ProgressBar,
) -> Result<()> {
    let consumers = cascade::consumer_info(&**local, session.queue()).await?;
    let errors: Vec<String> = consumers
        .iter()
        .filter_map(|c| {
            c.cur_error.as_ref().map(|e| format!("{}: {}", c.consumer, e.lines().next().unwrap_or_default()))
        })
        .collect();
    let text = errors.join("; ");
    if text.is_empty() {
        *shown = None;
    } else if shown.as_ref() != Some(&text) {
        bar.suspend(|| tracing::warn!("still waiting, but there are errors: {text}"));
        *shown = Some(text);
    }
    Ok(())
}

fn progress_bar() -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} tables in sync  {msg}")
        .map_err(|e| Error::new(skytools::ErrorKind::Internal, "bad progress template").with_source(e))?;
    Ok(ProgressBar::new(0).with_style(style))
}
