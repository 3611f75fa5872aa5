//! `cargo run --release -p bench -- NAME [--json]`: comparisons side by side in one run.

mod bulk_insert;
mod capture;
mod copy;
mod ground;
mod harness;
mod held_snapshot;
mod idle;
mod insert;
mod latency;
mod nodes;
mod peers;
mod pgbench_lag;
mod program;
mod read;
mod replay;
mod replicas;
mod report;
mod session;
mod workplace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::report::Output;

/// Exit status of `--strict`.
const TARGET_MISSED: u8 = 4;

/// Compares this project with the original and with PostgreSQL's own means.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    /// Which comparisons to run; all when none is named.
    names: Vec<Name>,
    /// One JSON line per figure and peer.
    #[arg(long)]
    json: bool,
    /// Measured rounds, after one warm-up round.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one timed run.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Multiplies the number of rows or events; 0.01 for a quick look whether everything works.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Seconds of one window of `idle`; a multiple of 60, as idle queues tick once a minute.
    #[arg(long, default_value_t = 300)]
    window: u32,
    /// Transactions per second of `pgbench-lag`; 0 for as many as the machine can.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Leave out the original's Python programs from `copy`, `replay` and `pgbench-lag`, where they take most of the time.
    #[arg(long)]
    without_python: bool,
    /// Consumers of each kind in `held-snapshot`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    consumers: u32,
    /// Which kinds of consumers `held-snapshot` measures.
    #[arg(long, value_delimiter = ',', default_values_t = held_snapshot::Kind::value_variants().to_vec())]
    kinds: Vec<held_snapshot::Kind>,
    /// Events per second in each database of `held-snapshot` while the snapshot is held, as far as the machine can.
    #[arg(long, default_value_t = 2000)]
    events: u32,
    /// Seconds for which `held-snapshot` holds the snapshot under load before it measures; three times `--seconds` when not given.
    #[arg(long)]
    hold: Option<u32>,
    /// Exit with status 4 when a target is missed.
    #[arg(long)]
    strict: bool,
    /// Our executable; by default the one built beside this program.
    #[arg(long, value_name = "PATH")]
    skytools: Option<PathBuf>,
    /// The directory with `python` and `londiste` of the original.
    #[arg(long, value_name = "DIR")]
    python: Option<PathBuf>,
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// What capture costs the application's writes.
    Capture,
    /// Publishing events one at a time, also with many queues.
    Insert,
    /// Batches of plain, cooperative and cascaded consumers while a snapshot is held elsewhere.
    HeldSnapshot,
    /// Publishing many events in one transaction.
    BulkInsert,
    /// Reading one large batch.
    Read,
    /// From the producer's commit to the consumer's callback.
    Latency,
    /// The initial copy of tables.
    Copy,
    /// Replaying a backlog of changes.
    Replay,
    /// How far replication is behind under a load of 64 clients.
    PgbenchLag,
    /// What a ticker costs when nothing happens.
    Idle,
}

/// What every comparison is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Measured rounds.
    pub rounds: usize,
    /// Seconds of one timed run.
    pub seconds: u32,
    /// Where figures go.
    pub output: Output,
    /// Multiplies numbers of rows and events.
    pub scale: f64,
    /// Seconds of one window without load.
    pub window: u32,
    /// Transactions per second, 0 for no limit.
    pub rate: u32,
    /// Leave out the original's Python programs where they take most of the time.
    pub without_python: bool,
    /// How a snapshot is held.
    pub hold: held_snapshot::Hold,
    /// Where the peers are.
    pub tools: peers::Tools,
}

impl Settings {
    /// A number of rows or events, scaled.
    pub fn scaled(&self, full: u32) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "far below 2^53, and positive"
        )]
        let scaled = (f64::from(full) * self.scale.max(0.0)).round() as u64;
        scaled.max(1)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let settings = Settings {
        rounds: args.rounds,
        seconds: args.seconds,
        output: Output::new(args.json),
        scale: args.scale,
        window: args.window,
        rate: args.rate,
        without_python: args.without_python,
        hold: held_snapshot::Hold {
            consumers: args.consumers,
            kinds: args.kinds,
            events: args.events,
            seconds: args.hold.unwrap_or(args.seconds * 3),
        },
        tools: peers::Tools { skytools: args.skytools, python: args.python },
    };
    let names = if args.names.is_empty() { Name::value_variants().to_vec() } else { args.names };
    let mut code = ExitCode::SUCCESS;
    for name in names {
        if let Err(error) = run(name, &settings) {
            eprintln!("bench {name:?}: {error:?}");
            code = if error.is::<ground::PeerMissing>() { ExitCode::from(3) } else { ExitCode::FAILURE };
            break;
        }
    }
    let missed = settings.output.conclude();
    if missed && args.strict && code == ExitCode::SUCCESS {
        code = ExitCode::from(TARGET_MISSED);
    }
    if let Err(error) = workplace::close() {
        eprintln!("bench: {error:?}");
        return ExitCode::FAILURE;
    }
    code
}

fn run(name: Name, settings: &Settings) -> Result<()> {
    match name {
        Name::Capture => capture::run(settings),
        Name::Insert => insert::run(settings),
        Name::HeldSnapshot => held_snapshot::run(settings),
        Name::BulkInsert => bulk_insert::run(settings),
        Name::Read => read::run(settings),
        Name::Latency => latency::run(settings),
        Name::Copy => copy::run(settings),
        Name::Replay => replay::run(settings),
        Name::PgbenchLag => pgbench_lag::run(settings),
        Name::Idle => idle::run(settings),
    }
}
