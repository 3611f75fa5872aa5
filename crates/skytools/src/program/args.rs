//! Options that every program of the framework has.

use nix::sys::signal::Signal;

use crate::log::{LineStyle, LogOptions};

/// Options of every program; flatten them into the program's own arguments.
///
/// The command that flattens them must not have clap's own version flag (`disable_version_flag`).
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CommonArgs {
    /// Log only warnings and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log debug messages; twice: trace messages.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Run in the background; needs a pidfile.
    #[arg(short, long, global = true)]
    pub daemon: bool,
    /// Print the version and exit.
    #[arg(id = "print_version", short = 'V', long = "version", global = true)]
    pub version: bool,
    /// Print a sample configuration file and exit.
    #[arg(id = "print_ini", long = "ini", global = true)]
    pub ini: bool,
    /// Override a key of the configuration file's main section.
    #[arg(long, value_name = "KEY=VAL", value_parser = parse_set, global = true)]
    pub set: Vec<(String, String)>,
    /// Tell the running process to reload its configuration (SIGHUP).
    #[arg(short, long, overrides_with_all = ["reload", "stop", "kill"], help_heading = "Control of a running process", global = true)]
    pub reload: bool,
    /// Tell the running process to stop after its current work (SIGINT).
    #[arg(short, long, overrides_with_all = ["reload", "stop", "kill"], help_heading = "Control of a running process", global = true)]
    pub stop: bool,
    /// Tell the running process to stop now (SIGTERM).
    #[arg(short, long, overrides_with_all = ["reload", "stop", "kill"], help_heading = "Control of a running process", global = true)]
    pub kill: bool,
}

impl CommonArgs {
    /// The signal to send to the running process; of several switches the last one given counts.
    pub fn signal(&self) -> Option<Signal> {
        match (self.reload, self.stop, self.kill) {
            (true, _, _) => Some(Signal::SIGHUP),
            (_, true, _) => Some(Signal::SIGINT),
            (_, _, true) => Some(Signal::SIGTERM),
            _ => None,
        }
    }

    /// -1 quiet, 0 normal, 1 debug, 2 trace; `-v` wins over `-q`.
    pub fn verbosity(&self) -> i8 {
        match (self.verbose, self.quiet) {
            (0, false) => 0,
            (0, true) => -1,
            (1, _) => 1,
            (2.., _) => 2,
        }
    }

    /// Logging options by these arguments.
    pub fn log_options(&self, style: LineStyle) -> LogOptions {
        LogOptions { verbosity: self.verbosity(), daemon: self.daemon, no_console: false, style }
    }
}

/// `KEY=VAL`, split at the first `=`, both sides trimmed.
fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_lowercase(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
