//! Everything between parsed arguments and the asynchronous body of a program.
//!
//! Order, as in the original: version and sample configuration; load the configuration; start logging; send a
//! signal to the running process (`-r -s -k`); refuse a live pidfile; leave the terminal (before any thread
//! exists); write the pidfile; start tokio; run the body; remove the pidfile.

mod args;
mod template;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::Signal;

use crate::config::Config;
use crate::log::{self, LineStyle};
use crate::pidfile::{self, Pidfile, Sent, Status};
use crate::service::Signals;
use crate::{Error, ErrorKind, Result, report};

pub use self::args::CommonArgs;
pub use self::template::{BASE_TEMPLATE, render as render_template};

/// Which pidfile a run of the program uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PidfileUse {
    /// The key `pidfile`, when set.
    #[default]
    Main,
    /// The key `pidfile` with a suffix: `Suffix(".admin".into())`.
    Suffix(Cow<'static, str>),
    /// None: commands that only look.
    None,
}

/// A program of the suite as [`run`] needs to know it.
#[derive(Debug, Clone)]
pub struct Program {
    /// The service name: shown by `--version`, default of `service_name`.
    pub name: &'static str,
    /// The names of the main section, the preferred one first; `--ini` prints the first.
    pub sections: &'static [&'static str],
    /// Fragments of the sample configuration, the program's own first; [`BASE_TEMPLATE`] is added at the end.
    pub template: &'static [&'static str],
    /// Defaults of the program for keys that the file does not set.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Which pidfile is used.
    pub pidfile: PidfileUse,
    /// The format of log lines.
    pub style: LineStyle,
}

impl Program {
    /// A program with the main pidfile, the framework's log lines, and no own template or defaults.
    pub const fn new(name: &'static str, sections: &'static [&'static str]) -> Self {
        Program {
            name,
            sections,
            template: &[],
            defaults: &[],
            pidfile: PidfileUse::Main,
            style: LineStyle::Framework,
        }
    }
}

/// Runs a program: `body` gets the configuration and the signals, inside a tokio runtime.
///
/// An error of the body is shown once and gives status 1.
pub fn run<F, Fut>(program: &Program, args: &CommonArgs, ini: Option<&Path>, body: F) -> ExitCode
where
    F: FnOnce(Config, Signals) -> Fut,
    Fut: Future<Output = Result<ExitCode>>,
{
    match run_inner(program, args, ini, body) {
        Ok(code) => code,
        Err(error) => report::emit(&error),
    }
}

fn run_inner<F, Fut>(program: &Program, args: &CommonArgs, ini: Option<&Path>, body: F) -> Result<ExitCode>
where
    F: FnOnce(Config, Signals) -> Fut,
    Fut: Future<Output = Result<ExitCode>>,
{
    if args.version {
        print(&version_line(program.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.ini {
        let section = program.sections.first().copied().unwrap_or(program.name);
        let mut fragments = program.template.to_vec();
        fragments.push(BASE_TEMPLATE);
        print(&render_template(section, &fragments, &args.set))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(ini) = ini else {
        return Err(Error::usage(format!("{} needs a configuration file", program.name))
            .hint("Give the path of an INI file; --ini prints a sample, --help the options."));
    };
    // Defaults come after the file, so the service name may be overridden there.
    let mut defaults = vec![("service_name", program.name)];
    defaults.extend_from_slice(program.defaults);
    let config = Config::load_with_defaults(ini, program.sections, &args.set, &defaults)?;
    log::init(&config, &args.log_options(program.style))?;
    let pidfile = pidfile_path(&program.pidfile, &config)?;
    if let Some(signal) = args.signal() {
        return send_signal(pidfile.as_deref(), signal);
    }
    if let Some(path) = &pidfile {
        match pidfile::status(path)? {
            Status::Missing => {}
            Status::Stale => print("Ignoring stale pidfile\n")?,
            Status::Live(_) => {
                print("Pidfile exists, another process running?\n")?;
                return Ok(ExitCode::from(1));
            }
        }
    }
    if args.daemon {
        if pidfile.is_none() {
            return Err(config
                .key_error("pidfile", "a pidfile is needed to run in the background")
                .hint("Set pidfile, or start without -d."));
        }
        // The process id changes and threads do not survive the fork, so nothing may have been started yet.
        nix::unistd::daemon(true, false)
            .map_err(|e| Error::new(ErrorKind::System, "cannot go into the background").with_source(e))?;
        log::mute_console(true);
    }
    run_async(config, pidfile.as_deref(), body)
}

/// Runs the body on a new runtime, with a pidfile that lives as long as the body.
fn run_async<F, Fut>(config: Config, pidfile: Option<&Path>, body: F) -> Result<ExitCode>
where
    F: FnOnce(Config, Signals) -> Fut,
    Fut: Future<Output = Result<ExitCode>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::System, "cannot start the runtime").with_source(e))?;
    let outcome = runtime.block_on(async {
        // Handlers come first: whoever finds the pidfile may send a signal at once.
        let signals = Signals::install()?;
        let pidfile = pidfile.map(Pidfile::create).transpose()?;
        signals.set_pidfile(pidfile.as_ref().map(|p| p.path().to_owned()));
        let outcome = body(config, signals.clone()).await;
        signals.set_pidfile(None);
        outcome
    });
    // A blocking call that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

fn pidfile_path(usage: &PidfileUse, config: &Config) -> Result<Option<PathBuf>> {
    let suffix = match usage {
        PidfileUse::None => return Ok(None),
        PidfileUse::Main => "",
        PidfileUse::Suffix(suffix) => suffix,
    };
    let path = config.get_file("pidfile")?.map(|path| {
        let mut name = path.into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    });
    Ok(path)
}

/// `-r`, `-s`, `-k` to the process that was started with the same command: always status 0 unless the pidfile is
/// corrupt, as scripts that stop services rely on it.
fn send_signal(pidfile: Option<&Path>, signal: Signal) -> Result<ExitCode> {
    let Some(path) = pidfile else {
        tracing::warn!("no pidfile configured for this command, nothing to signal");
        return Ok(ExitCode::SUCCESS);
    };
    match pidfile::signal(path, signal)? {
        Sent::Delivered => tracing::info!("{signal} sent"),
        Sent::NoPidfile => tracing::warn!("no pidfile {}, process not running", path.display()),
        Sent::NotRunning => tracing::warn!("pidfile {} is stale, process not running", path.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--version` prints, without newline.
pub fn version_text(name: &str) -> String {
    format!("{name}, Skytools version {}", env!("CARGO_PKG_VERSION"))
}

fn version_line(name: &str) -> String {
    let mut text = version_text(name);
    text.push('\n');
    text
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// [`ErrorKind::System`] when it cannot be written, to a full disk say.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::System, "cannot write to standard output").with_source(e))
        }
        _ => Ok(()),
    }
}
