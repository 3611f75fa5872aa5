//! A running (or stopped) throw-away server.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::account::Account;
use crate::builder::Builder;
use crate::installation::clean_environment;
use crate::processes::{of_data_directory, send, wait_until};
use crate::watchdog::Watchdog;
use crate::{Error, Installation, Result};

/// How long a server may take to start or stop before that is a failure. Generous: test machines are busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The superuser that every cluster has.
pub(crate) const SUPERUSER: &str = "postgres";

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Waits until all clients have gone (SIGTERM).
    Smart,
    /// Rolls back what is open and shuts down with a checkpoint (SIGINT).
    Fast,
    /// Stops at once; the next start recovers from WAL (SIGQUIT).
    Immediate,
    /// SIGKILL to postmaster and backends: the machine lost power, its disks kept what was written.
    Kill,
}

/// A throw-away PostgreSQL server. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct Cluster {
    installation: Installation,
    account: Account,
    dir: PathBuf,
    port: u16,
    tcp: bool,
    postmaster: Option<Child>,
    // None only after `keep` and while dropping.
    watchdog: Option<Watchdog>,
}

/// A cluster that was left running by [`Cluster::keep`].
#[derive(Debug, Clone)]
pub struct Kept {
    /// The directory of data, log and socket.
    pub dir: PathBuf,
    /// The shell command that stops the server and removes the directory.
    pub remove_command: String,
}

impl Cluster {
    /// Settings for a new cluster.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(
        installation: Installation,
        account: Account,
        dir: PathBuf,
        port: u16,
        tcp: bool,
        watchdog: Watchdog,
    ) -> Cluster {
        Cluster { installation, account, dir, port, tcp, postmaster: None, watchdog: Some(watchdog) }
    }

    /// The binaries this server runs.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The directory of everything: `data/`, `log`, and the socket.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The directory of the unix socket, for `host=`.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The port: of the socket's name, and of TCP where that was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connect string for a database, as the superuser, through the unix socket.
    #[must_use]
    pub fn connstr(&self, db: &str) -> String {
        format!(
            "host={} port={} user={SUPERUSER} dbname={}",
            quote_value(&self.dir.to_string_lossy()),
            self.port,
            quote_value(db)
        )
    }

    /// Connect string for a database through TCP.
    ///
    /// # Errors
    /// The cluster was built without [`Builder::tcp`].
    pub fn tcp_connstr(&self, db: &str) -> Result<String> {
        if !self.tcp {
            return Err(
                Error::new("this cluster listens on its unix socket only").hint("build it with .tcp()")
            );
        }
        Ok(format!("host=127.0.0.1 port={} user={SUPERUSER} dbname={}", self.port, quote_value(db)))
    }

    /// Whether the postmaster is running.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process id of the postmaster, while it runs.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Child::id)
    }

    /// Starts the server and waits until it accepts connections. A running server is an error.
    ///
    /// # Errors
    /// The server does not come up; the error carries the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Error::new(format!("the server in {} is already running", self.dir.display())));
        }
        let failed = |e| Error::io(format!("opening {} failed", self.log_path().display()), e);
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).map_err(failed)?;
        let log2 = log.try_clone().map_err(failed)?;
        let mut command = self.installation.command("postgres");
        command
            .arg("-D")
            .arg(self.data_dir())
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log2)
            // Ctrl-C at the terminal is for the owner, which stops the server in its own order.
            .process_group(0);
        self.account.apply(&mut command);
        let child = command.spawn().map_err(|e| Error::io("starting postgres failed", e))?;
        self.postmaster = Some(child);
        let started = self.wait_ready();
        if started.is_err() {
            self.stop(Mode::Kill)?;
        }
        started
    }

    /// The postmaster writes its state into line 8 of its pid file (`pg_ctl -w` reads the same line).
    fn wait_ready(&mut self) -> Result<()> {
        let pid_file = self.data_dir().join("postmaster.pid");
        let mut exited = None;
        let pid = self.postmaster_pid().unwrap_or_default().to_string();
        let waited = wait_until("the server accepts connections", PATIENCE, || {
            if let Some(child) = self.postmaster.as_mut() {
                exited = child.try_wait().map_err(|e| Error::io("waiting for postgres failed", e))?;
            }
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            let mine = lines.next() == Some(pid.as_str());
            let ready = matches!(lines.nth(6).map(str::trim), Some("ready" | "standby"));
            Ok(exited.is_some() || (mine && ready))
        });
        let why = match (waited, exited) {
            (Ok(()), None) => return Ok(()),
            (Ok(()), Some(status)) => format!("postgres ended while starting ({status})"),
            (Err(error), _) => error.to_string(),
        };
        Err(Error::new(format!("{why}; the end of its log:\n{}", self.log_tail(20))))
    }

    /// Stops the server and waits until every process of it is gone. A stopped server is no error.
    ///
    /// # Errors
    /// It does not stop in time.
    pub fn stop(&mut self, mode: Mode) -> Result<()> {
        let Some(mut child) = self.postmaster.take() else { return Ok(()) };
        let ended = |child: &mut Child| {
            child.try_wait().map(|s| s.is_some()).map_err(|e| Error::io("waiting for postgres failed", e))
        };
        let data = self.data_dir();
        if !ended(&mut child)? {
            let pid = pid_of(&child)?;
            match mode {
                Mode::Smart => send(pid, Signal::SIGTERM)?,
                Mode::Fast => send(pid, Signal::SIGINT)?,
                Mode::Immediate => send(pid, Signal::SIGQUIT)?,
                Mode::Kill => send(pid, Signal::SIGKILL)?,
            }
        }
        let mut waited = wait_until("the server stops", PATIENCE, || ended(&mut child));
        if waited.is_err() {
            send(pid_of(&child)?, Signal::SIGKILL)?;
            child.wait().map_err(|e| Error::io("waiting for postgres failed", e))?;
        }
        if mode == Mode::Kill || waited.is_err() {
            for pid in of_data_directory(&data) {
                send(pid, Signal::SIGKILL)?;
            }
        }
        // A server cannot start while a backend of the former one still holds the shared memory.
        let gone =
            wait_until(
                "the server's backends are gone",
                PATIENCE,
                || Ok(of_data_directory(&data).is_empty()),
            );
        if waited.is_ok() {
            waited = gone;
        }
        waited.map_err(|e| Error::new(format!("{e}; the end of its log:\n{}", self.log_tail(20))))
    }

    /// Stops and starts the server.
    ///
    /// # Errors
    /// As [`Cluster::stop`] and [`Cluster::start_again`].
    pub fn restart(&mut self, mode: Mode) -> Result<()> {
        self.stop(mode)?;
        self.start_again()
    }

    /// Kills one background process (SIGKILL), so that the postmaster throws all clients out and recovers from WAL
    /// without going away itself; waits until the server answers again.
    ///
    /// # Errors
    /// The server is not running or does not come back.
    pub fn crash(&mut self) -> Result<()> {
        let postmaster = self
            .postmaster
            .as_ref()
            .map(pid_of)
            .transpose()?
            .ok_or_else(|| Error::new(format!("the server in {} is not running", self.dir.display())))?;
        let before = self.psql("postgres", "select pg_postmaster_start_time(), pid from pg_stat_activity where backend_type = 'checkpointer'")?;
        let checkpointer: i32 = before
            .trim()
            .rsplit('|')
            .next()
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| Error::new(format!("no checkpointer in pg_stat_activity: {before:?}")))?;
        send(Pid::from_raw(checkpointer), Signal::SIGKILL)?;
        wait_until("the killed process is gone", PATIENCE, || {
            Ok(!of_data_directory(&self.data_dir()).contains(&Pid::from_raw(checkpointer)))
        })?;
        wait_until("the server has recovered from its crash", PATIENCE, || {
            let alive = of_data_directory(&self.data_dir());
            if !alive.contains(&postmaster) {
                return Err(Error::new(format!("the postmaster ended; its log:\n{}", self.log_tail(20))));
            }
            Ok(self.psql("postgres", "select 1").is_ok())
        })
    }

    /// Makes the server re-read its configuration (SIGHUP).
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn reload(&self) -> Result<()> {
        self.postmaster.as_ref().map_or(Ok(()), |child| send(pid_of(child)?, Signal::SIGHUP))
    }

    /// Adds a line to the end of `postgresql.conf`; in effect after [`Cluster::reload`] or a restart.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add_conf(&self, line: &str) -> Result<()> {
        self.append("postgresql.conf", line)
    }

    /// Puts a line in front of `pg_hba.conf` (the first match decides); in effect after [`Cluster::reload`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add_hba(&self, line: &str) -> Result<()> {
        let path = self.data_dir().join("pg_hba.conf");
        let failed = |e| Error::io(format!("writing {} failed", path.display()), e);
        let old = std::fs::read_to_string(&path).map_err(failed)?;
        std::fs::write(&path, format!("{line}\n{old}")).map_err(failed)
    }

    pub(crate) fn append(&self, file: &str, text: &str) -> Result<()> {
        let path = self.data_dir().join(file);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut f| writeln!(f, "{text}"))
            .map_err(|e| Error::io(format!("writing {} failed", path.display()), e))
    }

    /// Runs SQL (or psql commands) with `psql -XqAt -v ON_ERROR_STOP=1` as the superuser; returns what it printed.
    ///
    /// # Errors
    /// psql is missing or fails; the error carries its standard error.
    pub fn psql(&self, db: &str, sql: &str) -> Result<String> {
        let mut command = self.psql_command(db)?;
        command.args(["-qAt", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |e| Error::io("running psql failed", e);
        let mut child = command.spawn().map_err(failed)?;
        let pipe = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // Fed from a thread: psql may fill its output pipe before it has read all of its input. A broken pipe
            // means that psql gave up early; its exit status tells.
            let feeder = scope.spawn(move || pipe.map(|mut p| p.write_all(sql.as_bytes())));
            let output = child.wait_with_output();
            drop(feeder.join());
            output
        })
        .map_err(failed)?;
        if !output.status.success() {
            return Err(Error::new(format!(
                "psql on database {db:?} failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end()
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A psql command connected to `db` as the superuser, with `-X` and ON_ERROR_STOP, for callers with wishes.
    /// Its environment leads the programs that a script starts to the same database.
    ///
    /// # Errors
    /// No psql is found.
    pub fn psql_command(&self, db: &str) -> Result<Command> {
        let mut command = Command::new(self.installation.client_program("psql")?);
        clean_environment(&mut command);
        command.args(["-X", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.connstr(db));
        command.env("PGHOST", &self.dir).env("PGPORT", self.port.to_string());
        command.env("PGUSER", SUPERUSER).env("PGDATABASE", db);
        Ok(command)
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// The server refuses.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.psql("postgres", &format!("create database {}", quote_ident(name))).map(drop)
    }

    /// The path of the server's log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The server's log so far; empty when there is none.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Leaves the server running and its directory in place when this value goes away.
    ///
    /// # Errors
    /// The watchdog does not let go.
    pub fn keep(mut self) -> Result<Kept> {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss()?;
        }
        // The postmaster goes on as a child of init once this process ends.
        drop(self.postmaster.take());
        let dir = self.dir.clone();
        let quoted = format!("'{}'", dir.to_string_lossy().replace('\'', r"'\''"));
        let remove_command = format!("kill -QUIT $(head -1 {quoted}/data/postmaster.pid); rm -rf {quoted}");
        Ok(Kept { dir, remove_command })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // No watchdog: the cluster is to be kept.
        if self.watchdog.is_none() {
            return;
        }
        if let Err(error) = self.stop(Mode::Immediate) {
            eprintln!("stopping a throw-away cluster failed: {error:?}");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("removing {} failed: {error}", self.dir.display());
        }
        drop(self.watchdog.take());
    }
}

fn pid_of(child: &Child) -> Result<Pid> {
    i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| Error::new("a process id does not fit"))
}

/// A value of a libpq keyword/value connect string.
fn quote_value(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
