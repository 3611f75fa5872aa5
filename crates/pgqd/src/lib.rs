//! The PgQ ticker daemon for all databases of a server.
//!
//! A drop-in replacement of the original `pgqd`: same switches, same configuration keys, same log lines, works on
//! the original's schema (3.0 and later) and on ours. One task per job and database, each with its own connection:
//!
//! ```text
//!   detect ── which databases? ──► daemon ── one set per database ──► ticker ─► (schema found) ─► maint
//!                                    │                                                        └─► retry
//!                                  stats
//! ```
//!
//! Nothing that one of them waits for – a server that does not answer, a vacuum of an hour, a queue that fails –
//! keeps another from working. Two pgqds on one database are safe: a tick is made under an advisory lock held for
//! its transaction only, because two ticks made at the same moment could get their numbers and their snapshots in
//! different orders, and consumers would see events twice. (The original takes no such lock.)

mod args;
mod daemon;
mod database;
mod detect;
mod maint;
mod retry;
mod settings;
mod sql;
mod stats;
mod ticker;
mod trouble;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use skytools::config::Config;
use skytools::log::LineStyle;
use skytools::pidfile::{self, Sent};
use skytools::program::{self, CommonArgs, Program};
use skytools::{Error, ErrorKind, Result, report};

use crate::args::Parsed;
use crate::settings::Settings;

/// The section of the configuration file.
const SECTIONS: &[&str] = &["pgqd"];

/// Runs pgqd with these command line arguments, of which the first is the name that the usage text shows.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_else(|| "pgqd".into());
    let name = Path::new(&name).file_name().unwrap_or(&name).to_string_lossy().into_owned();
    let done = match args::parse(arguments) {
        Ok(Parsed::Help) => print(&args::help(&name)),
        Ok(Parsed::Sample) => print(args::SAMPLE),
        Ok(Parsed::Version) => print(concat!("pgqd version ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Parsed::Run { file, common }) if common.signal().is_some() => signal_running(&file, &common),
        Ok(Parsed::Run { file, common }) => return serve(&file, &common),
        Err(message) => {
            eprint!("{name}: {message}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::emit(&error),
    }
}

fn serve(file: &Path, common: &CommonArgs) -> ExitCode {
    if common.daemon {
        // Whoever starts it shall see a mistake in its settings, and status 1: the daemon itself can only log it.
        let settings = Config::load(file, SECTIONS, &common.set).and_then(|config| Settings::load(&config));
        if let Err(error) = settings {
            return report::emit(&error);
        }
    }
    let mut program = Program::new("pgqd", SECTIONS);
    program.style = LineStyle::Pgqd;
    let mut log_options = common.log_options(LineStyle::Pgqd);
    // Quiet is about the terminal here: the log file gets everything.
    log_options.no_console = common.quiet;
    log_options.verbosity = log_options.verbosity.max(0);
    let common = CommonArgs { quiet: false, ..common.clone() };
    program::run(&program, &common, Some(file), |config, signals| daemon::run(config, signals, log_options))
}

/// `-s`, `-k`, `-r`: status 0 whether or not a process is there, as scripts that stop services rely on it.
fn signal_running(file: &Path, common: &CommonArgs) -> Result<()> {
    let config = Config::load(file, SECTIONS, &[])?;
    let Some(signal) = common.signal() else { return Ok(()) };
    let path = config.get_file("pidfile")?.ok_or_else(|| {
        Error::config("no pidfile is configured, so the running pgqd cannot be found")
            .hint(format!("Set pidfile in {}.", file.display()))
    })?;
    match pidfile::signal(&path, signal)? {
        Sent::Delivered => eprintln!("{signal} sent"),
        Sent::NoPidfile => eprintln!("No pidfile, process not running"),
        Sent::NotRunning => eprintln!("Old process is not running"),
    }
    Ok(())
}

/// Prints to standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::System, "cannot write to standard output").with_source(e))
        }
        _ => Ok(()),
    }
}
