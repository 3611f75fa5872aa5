//! Which failures of the loop are logged as warnings: `exception_quiet`, `exception_grace`, `exception_reset`.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::{Error, ErrorKind, Result};

/// When failures began and which of them are expected.
#[derive(Debug)]
pub(super) struct FailureClock {
    quiet: Vec<String>,
    grace: Duration,
    reset: Duration,
    first: Option<Instant>,
    /// Failures since the last success.
    pub consecutive: u64,
}

impl FailureClock {
    pub fn new(config: &Config) -> Result<Self> {
        let mut clock = FailureClock {
            quiet: Vec::new(),
            grace: Duration::ZERO,
            reset: Duration::ZERO,
            first: None,
            consecutive: 0,
        };
        clock.reload(config)?;
        Ok(clock)
    }

    /// Reads the keys again; what has happened so far is kept.
    pub fn reload(&mut self, config: &Config) -> Result<()> {
        let quiet = config.get_list("exception_quiet")?;
        let grace = config.get_duration("exception_grace", 300.0)?;
        let reset = config.get_duration("exception_reset", 900.0)?;
        (self.quiet, self.grace, self.reset) = (quiet, grace, reset);
        Ok(())
    }

    /// Notes a success: the clock is cleared when the trouble began longer than `exception_reset` ago.
    pub fn succeeded(&mut self, now: Instant) {
        self.consecutive = 0;
        if self.first.is_some_and(|first| now.duration_since(first) >= self.reset) {
            self.first = None;
        }
    }

    /// Notes a failure; true when it shall be logged as a warning only.
    pub fn failed(&mut self, error: &Error, now: Instant) -> bool {
        self.consecutive = self.consecutive.saturating_add(1);
        let first = *self.first.get_or_insert(now);
        now.duration_since(first) < self.grace && self.quiet.iter().any(|name| names(name, error))
    }
}

/// Whether a name of `exception_quiet` means this error: `ALL`, a SQLSTATE, the kind of error (`Connection`,
/// `Transient`, …), or the Python class that the original's configuration would name.
fn names(name: &str, error: &Error) -> bool {
    let class = name.rsplit('.').next().unwrap_or(name);
    if class == "ALL" || error.sqlstate().is_some_and(|s| s.code().eq_ignore_ascii_case(class)) {
        return true;
    }
    let kind = error.kind();
    if format!("{kind:?}").eq_ignore_ascii_case(class) {
        return true;
    }
    let of_server = error.sqlstate().is_some();
    match class {
        "OperationalError" => matches!(kind, ErrorKind::Connection | ErrorKind::Transient),
        "InterfaceError" => kind == ErrorKind::Connection,
        "TransactionRollbackError" => kind == ErrorKind::Transient,
        "DatabaseError" | "Error" => of_server || kind == ErrorKind::Connection,
        "ProgrammingError" => of_server && matches!(kind, ErrorKind::NotFound | ErrorKind::Permission),
        _ => false,
    }
}
