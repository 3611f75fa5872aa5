//! `londiste INI compare [TABLE…]`.

use std::process::ExitCode;

use serde_json::{Value, json};
use skytools::config::Config;
use skytools::program::print;
use skytools::service::Signals;
use skytools::{Error, Result};

use super::session::Session;
use super::{Comparison, Query, Side};
use crate::settings::Settings;

/// Arguments of `compare`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Tables to compare, as registered; all local ones when none is given.
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Counts rows only.
    #[arg(long)]
    pub count_only: bool,
    /// Compares even when this node does not catch up within lock_timeout; writers of the source wait meanwhile.
    #[arg(long)]
    pub force: bool,
    /// Prints a JSON list instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Compares tables with their source; the exit status is the number of tables that differ (at most 255).
///
/// # Errors
/// A source that cannot be found or reached; a table that stays locked; this node lagging too far behind.
pub async fn command(config: Config, args: Args, signals: Signals) -> Result<ExitCode> {
    let settings = Settings::read(&config)?;
    let sql = config.get_opt("compare_sql")?;
    let query = Query::new(args.count_only, sql.as_deref(), config.get_opt("compare_fmt")?.as_deref());
    let mut found = Vec::new();
    let run = async {
        let session = Session::open(&settings, query, args.force).await?;
        for group in session.groups(&args.tables).await? {
            session
                .compare(&group, |comparison| {
                    if !args.json {
                        report(comparison);
                    }
                    found.push(comparison.clone());
                })
                .await?;
        }
        Ok::<(), Error>(())
    };
    tokio::select! {
        done = run => done?,
        () = signals.stopped() => return Err(Error::state("stopped by a signal")),
    }
    if args.json {
        let list: Vec<Value> = found.iter().map(to_json).collect();
        print(&format!("{:#}\n", Value::from(list)))?;
    }
    let bad = found.iter().filter(|c| !c.is_identical()).count();
    Ok(ExitCode::from(u8::try_from(bad).unwrap_or(u8::MAX)))
}

fn report(comparison: &Comparison) {
    let table = &comparison.table;
    tracing::info!("{table}: source: {}", comparison.source.text);
    tracing::info!("{table}: target: {}", comparison.target.text);
    if !comparison.is_identical() {
        tracing::warn!("{table}: Results do not match!");
    }
}

fn to_json(comparison: &Comparison) -> Value {
    let side = |side: &Side| json!({"rows": side.rows, "checksum": side.checksum, "text": side.text});
    json!({
        "table": comparison.table,
        "identical": comparison.is_identical(),
        "source": side(&comparison.source),
        "target": side(&comparison.target),
        "left_out": comparison.left_out,
    })
}
