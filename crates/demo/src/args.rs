//! The command line of the demonstration.

use std::path::PathBuf;

use clap::Parser;

/// Starts two PostgreSQL clusters, replicates one into the other under load, and compares every table.
#[derive(Debug, Clone, Parser)]
#[command(name = "skytools demo", version)]
pub struct Args {
    /// Leave both clusters, the configuration files and the logs in place, and say where they are.
    #[arg(long)]
    pub keep: bool,

    /// How long the load runs, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,

    /// pgbench scale: 100 000 accounts each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub scale: u32,

    /// pgbench clients.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub clients: u32,

    /// Where the report is written.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub report: PathBuf,

    /// Directory with the server binaries of the source (default: as found).
    #[arg(long, value_name = "DIR")]
    pub source_bin: Option<PathBuf>,

    /// Directory with the server binaries of the target, another major version if you like (default: as found).
    #[arg(long, value_name = "DIR")]
    pub target_bin: Option<PathBuf>,
}
