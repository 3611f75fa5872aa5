//! Real processes under test: started, signalled, killed, with their output kept.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{places, reaper};

/// How much of an output is shown for a failure.
const DUMPED_LINES: usize = 200;

/// A command about to be started.
#[derive(Debug)]
pub struct Spawn {
    label: String,
    command: Command,
}

/// A running process. On drop it is killed and its output printed, which is shown when the test fails.
#[derive(Debug)]
pub struct Process {
    label: String,
    child: Child,
    status: Option<ExitStatus>,
    dir: tempfile::TempDir,
}

/// The `skytools` executable of this build, with its arguments.
pub fn skytools<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Spawn> {
    Ok(Process::command(places::built_program("skytools", "skytools-cli")?).args(arguments))
}

impl Spawn {
    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// The name shown in failures.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Starts the process; its output goes to files that [`Process::stdout`] and [`Process::stderr`] read.
    pub fn start(mut self) -> Result<Process> {
        let dir = tempfile::Builder::new().prefix("process-").tempdir()?;
        let file = |name: &str| std::fs::File::create(dir.path().join(name));
        self.command.stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        let child = self.command.spawn().with_context(|| format!("starting {:?}", self.command))?;
        let process = Process { label: self.label, child, status: None, dir };
        reaper::add(process.pid())?;
        Ok(process)
    }

    /// Starts the process and waits for its end.
    pub async fn run(self, limit: Duration) -> Result<Process> {
        let mut process = self.start()?;
        process.wait(limit).await?;
        Ok(process)
    }

    /// Runs the process to its end; anything but success is an error with the whole output. Returns its standard
    /// output.
    pub async fn succeed(self, limit: Duration) -> Result<String> {
        let process = self.run(limit).await?;
        ensure!(process.status.is_some_and(|s| s.success()), "{}", process.describe());
        Ok(process.stdout())
    }
}

impl Process {
    /// A command for any program; the caller's `PG*` variables are not passed on.
    pub fn command(program: impl AsRef<OsStr>) -> Spawn {
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        let label = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Spawn { label, command }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        self.look().map(|status| status.is_none())
    }

    fn look(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                reaper::remove(self.pid())?;
            }
        }
        Ok(self.status)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        ensure!(self.status.is_none(), "{} has ended, {signal} cannot be sent", self.describe());
        match kill(Pid::from_raw(i32::try_from(self.pid())?), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending {signal} to {}", self.label)),
        }
    }

    /// Kills it without a chance to clean up, and waits until it is gone.
    pub fn kill9(&mut self) -> Result<()> {
        if self.look()?.is_none() {
            self.child.kill()?;
            reaper::remove(self.pid())?;
            self.status = Some(self.child.wait()?);
        }
        Ok(())
    }

    /// Waits for its end and returns the exit status; past the deadline it is killed and that is an error.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.look()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                self.kill9()?;
                bail!("{} did not end within {limit:?} and was killed", self.describe());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a line of its output contains `text`; an end of the process before that is an error.
    pub async fn wait_for_output(&mut self, text: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            // Looked at before the output, so that the last output of an ended process is not missed.
            let ended = self.look()?.is_some();
            if self.output().contains(text) {
                return Ok(());
            }
            ensure!(!ended, "{} ended before it said {text:?}", self.describe());
            ensure!(Instant::now() < deadline, "{} did not say {text:?} within {limit:?}", self.describe());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The exit status, once it has ended.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// Its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Standard output, then standard error, so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.stdout() + &self.stderr()
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of an output, enough to see what went wrong.
    fn tail(&self, name: &str) -> String {
        let text = self.read(name);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(DUMPED_LINES)..].iter().map(|line| format!("{line}\n")).collect()
    }

    fn describe(&self) -> String {
        let state = self.status.map_or_else(|| "running".to_owned(), |status| status.to_string());
        format!(
            "{} (process {}, {state})\n--- its output:\n{}--- its errors:\n{}---",
            self.label,
            self.pid(),
            self.tail("stdout"),
            self.tail("stderr")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill9() {
            eprintln!("killing {} failed: {error:?}", self.label);
        }
        // The test harness keeps what a test prints and shows it when the test fails, in whatever way it fails.
        eprintln!("{}", self.describe());
    }
}
