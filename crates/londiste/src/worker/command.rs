//! `londiste INI worker`.

use std::process::ExitCode;

use skytools::Result;
use skytools::config::Config;
use skytools::service::Signals;

use super::reposition::{Reposition, reposition};
use crate::settings::Settings;

/// Options of `worker`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Moves the provider's record of this worker's position to where this node stands, and exits.
    #[arg(long, conflicts_with = "reset")]
    pub rewind: bool,
    /// Moves this node's position to the provider's record of it, and exits. Events may be lost or applied twice.
    #[arg(long)]
    pub reset: bool,
}

/// Runs the worker, or mends its position.
///
/// # Errors
/// A missing key; for the options, whatever hinders the move.
pub async fn command(config: Config, args: Args, signals: Signals) -> Result<ExitCode> {
    let which = match (args.rewind, args.reset) {
        (true, _) => Reposition::Rewind,
        (_, true) => Reposition::Reset,
        _ => return super::run(config, signals).await,
    };
    let settings = Settings::read(&config)?;
    let tick = reposition(&settings, which).await?;
    tracing::info!(tick, consumer = settings.consumer, "position agreed");
    Ok(ExitCode::SUCCESS)
}
