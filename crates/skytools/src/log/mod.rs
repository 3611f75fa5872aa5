//! Logging: `tracing` events written as the lines that operators of `SkyTools` know.
//!
//! Text lines are `YYYY-MM-DD HH:MM:SS,mmm PID LEVEL message` in local time (or pgqd's form, [`LineStyle::Pgqd`]);
//! `log_format = json` gives one object per line. Records go to standard error and, when `logfile` is set, to a
//! file that is rotated by size and opened again on [`reopen`] (SIGHUP). Fields of an event are appended in readable
//! form: `error` after a colon, `hint` as a sentence, the others as `(key=value, …)`.
//!
//! Anything that looks like a password in a connect string is masked on the way out, as a last line of defence.

mod file;
mod format;
mod record;
mod redact;
pub mod stats;
mod syslog;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use self::file::RotatingFile;
use self::format::Formatter;
use self::record::Record;
use self::syslog::Syslog;
use crate::config::Config;
use crate::{Error, ErrorKind, Result};

pub use self::redact::redact;
pub use self::stats::Stats;

/// Which program's line format is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineStyle {
    /// `2026-11-20 10:15:47,343 19783 INFO message`; levels TRACE DEBUG INFO WARNING ERROR.
    #[default]
    Framework,
    /// `2026-11-20 10:15:47.343 UTC [19783] LOG message`; levels NOISE DEBUG LOG WARNING ERROR.
    Pgqd,
}

/// What the command line says about logging.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOptions {
    /// -1 warnings and errors only, 0 information, 1 debug, 2 or more trace.
    pub verbosity: i8,
    /// Whether the program is about to leave the terminal; lines go to standard error until it has.
    pub daemon: bool,
    /// Suppresses standard error altogether (pgqd's `-q`).
    pub no_console: bool,
    /// The line format.
    pub style: LineStyle,
}

/// Everything that decides where and how a record is written.
struct Sinks {
    console: Option<Formatter>,
    file: Option<(RotatingFile, Formatter)>,
    syslog: Option<Syslog>,
}

static SINKS: Mutex<Sinks> = Mutex::new(Sinks { console: None, file: None, syslog: None });
/// The most detailed level written, as [`level_number`].
static LEVEL: AtomicU8 = AtomicU8::new(2);
static CONSOLE_MUTED: AtomicBool = AtomicBool::new(false);
static INSTALL: Once = Once::new();

fn sinks() -> MutexGuard<'static, Sinks> {
    // A panic while a line was being written leaves nothing behind that would make the next line wrong.
    SINKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts logging by the keys `logfile`, `log_size`, `log_count`, `log_format`, `logfmt_*` and `logdatefmt_*`.
///
/// May be called again, for example after a reload that changed the log file.
///
/// # Errors
/// A key is malformed, or the log file cannot be opened.
pub fn init(config: &Config, options: &LogOptions) -> Result<()> {
    let verbose = options.verbosity > 0;
    let console = Formatter::from_config(config, "console", verbose, options.style)?;
    let file = match config.get_file("logfile")? {
        None => None,
        Some(path) => {
            let size = config.get_bytes("log_size", 10 * 1024 * 1024)?;
            let count = config.get_int("log_count", 3)?;
            let count = u32::try_from(count).map_err(|_| {
                config.key_error("log_count", format_args!("{count} is not a number of files"))
            })?;
            let formatter = Formatter::from_config(config, "file", verbose, options.style)?;
            let file = RotatingFile::open(&path, size, count).map_err(|e| {
                Error::new(ErrorKind::System, format!("cannot open log file {}", path.display()))
                    .with_source(e)
                    .hint("Check that its directory exists and is writable, or change logfile.")
            })?;
            Some((file, formatter))
        }
    };
    let syslog = match options.style {
        LineStyle::Framework => None,
        LineStyle::Pgqd => Syslog::from_config(config, "pgqd")?,
    };
    install(Sinks { console: (!options.no_console).then_some(console), file, syslog }, options.verbosity);
    Ok(())
}

/// Starts logging to standard error only, for programs without configuration.
pub fn init_console(name: &str, verbosity: i8) {
    let console = Formatter::plain(name, LineStyle::Framework);
    install(Sinks { console: Some(console), file: None, syslog: None }, verbosity);
}

fn install(new: Sinks, verbosity: i8) {
    let level = match verbosity {
        i8::MIN..=-1 => 1,
        0 => 2,
        1 => 3,
        2..=i8::MAX => 4,
    };
    LEVEL.store(level, Ordering::Relaxed);
    *sinks() = new;
    INSTALL.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(LineLayer);
        log_panics();
        // Fails only when the embedding application installed its own subscriber, which then gets the events.
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            tracing::debug!("another log subscriber is installed; using that one");
        }
    });
    tracing::callsite::rebuild_interest_cache();
}

/// Panics are bugs; in the background their message would go nowhere.
fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("bug: {panic}");
        default(panic);
    }));
}

/// Opens the log file again under its name, so that `logrotate` may move it away. SIGHUP does this.
pub fn reopen() {
    let failed = match &mut sinks().file {
        Some((file, _)) => file.reopen().err().map(|e| (file.path().display().to_string(), e)),
        None => None,
    };
    if let Some((path, error)) = failed {
        tracing::error!(%error, "cannot open log file {path} again; writing to the old one");
    }
}

/// Stops writing to standard error, once the program has left the terminal.
pub fn mute_console(mute: bool) {
    CONSOLE_MUTED.store(mute, Ordering::Relaxed);
}

/// Whether records reach standard error at present.
pub fn console_active() -> bool {
    sinks().console.is_some() && !CONSOLE_MUTED.load(Ordering::Relaxed)
}

/// Whether debug lines are written.
pub fn is_verbose() -> bool {
    LEVEL.load(Ordering::Relaxed) >= 3
}

/// 0 error, 1 warning, 2 information, 3 debug, 4 trace.
fn level_number(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 0,
        tracing::Level::WARN => 1,
        tracing::Level::INFO => 2,
        tracing::Level::DEBUG => 3,
        tracing::Level::TRACE => 4,
    }
}

/// Writes events to the sinks.
struct LineLayer;

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(
        &self,
        metadata: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        // The cache is rebuilt when logging is initialised again with another level.
        if level_number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed) {
            tracing::subscriber::Interest::always()
        } else {
            tracing::subscriber::Interest::never()
        }
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        level_number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            0 => LevelFilter::ERROR,
            1 => LevelFilter::WARN,
            2 => LevelFilter::INFO,
            3 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::capture(event);
        let mut sinks = match SINKS.try_lock() {
            Ok(sinks) => sinks,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // This thread may be the one that holds the lock.
            Err(TryLockError::WouldBlock) if std::thread::panicking() => return,
            Err(TryLockError::WouldBlock) => sinks(),
        };
        if let Some(console) = &sinks.console
            && !CONSOLE_MUTED.load(Ordering::Relaxed)
        {
            let line = console.line(&record);
            // Nowhere is left to report that standard error is gone.
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
        if let Some(syslog) = &mut sinks.syslog {
            syslog.write(&record);
        }
        if let Some((file, formatter)) = &mut sinks.file {
            let line = formatter.line(&record);
            if let Err(error) = file.write(&line)
                && !CONSOLE_MUTED.load(Ordering::Relaxed)
            {
                let path = file.path().display().to_string();
                drop(writeln!(std::io::stderr(), "cannot write to log file {path}: {error}"));
            }
        }
    }
}
