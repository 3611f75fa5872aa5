//! `cargo run --release -p bench -- NAME [--json]`: comparisons side by side in one run.

mod capture;
mod ground;
mod harness;
mod insert;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Compares this project with the original and with PostgreSQL's own means.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    /// Which comparisons to run; all when none is named.
    names: Vec<Name>,
    /// One JSON line per figure.
    #[arg(long)]
    json: bool,
    /// Measured rounds, after one warm-up round.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one timed run.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// What capture costs the application's writes.
    Capture,
    /// Publishing single events.
    Insert,
}

/// What every comparison is told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Measured rounds.
    pub rounds: usize,
    /// Seconds of one timed run.
    pub seconds: u32,
    /// JSON instead of tables.
    pub json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let settings = Settings { rounds: args.rounds, seconds: args.seconds, json: args.json };
    let names = if args.names.is_empty() { Name::value_variants().to_vec() } else { args.names };
    for name in names {
        if let Err(error) = run(name, &settings) {
            eprintln!("bench {name:?}: {error:?}");
            return if error.is::<ground::PeerMissing>() { ExitCode::from(3) } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}

fn run(name: Name, settings: &Settings) -> Result<()> {
    match name {
        Name::Capture => capture::run(settings),
        Name::Insert => insert::run(settings),
    }
}
