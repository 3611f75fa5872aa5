//! `refresh-trigger`: write the generated capture of tables anew.

use std::process::ExitCode;

use skytools::{Error, Result};

use super::each::{chosen, local_tables};
use super::session::Session;
use crate::TableRow;

/// Writes the generated capture of tables anew, from what the tables are now: after ALTER TABLE, after a restore.
///
/// Changes are captured without this too; capture of an altered table is slower until its code is written anew.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables of this node, when no name is given.
    #[arg(long)]
    all: bool,
}

/// Runs the command; all tables or none.
///
/// # Errors
/// Names that are not replicated here; a table that cannot be captured as it is now.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let queue = session.queue();
    let mut local = session.local().await?;
    session.local_node(&*local).await?;
    let rows = TableRow::load_all(&*local, queue).await?;
    let names = chosen(session, "tables", &args.tables, args.all, false, &local_tables(&rows, |_| false))?;
    let tx = local.transaction().await?;
    for row in rows.iter().filter(|t| names.contains(&t.table_name)) {
        let refreshed: i32 = tx
            .query_one("select pgq.refresh_capture($1, $2)", &[&queue, &row.dest()])
            .await
            .map_err(|e| {
                Error::from(e)
                    .context(format!("writing the capture of table {}; nothing was changed", row.table_name))
            })?
            .get(0);
        if refreshed == 0 {
            tracing::info!("Table {} has no generated capture, nothing to do", row.table_name);
        } else {
            tracing::info!("Capture written anew: {}", row.table_name);
        }
    }
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}
