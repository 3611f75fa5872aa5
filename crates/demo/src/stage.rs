//! The stage: two clusters, configuration files and the processes of the suite, all removed when it falls.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cluster::{Cluster, Installation};
use skytools::db::ConnectString;
use skytools::{Error, ErrorKind, Result};
use tokio::process::{Child, Command};

use crate::args::Args;

/// The queue that carries everything.
pub const QUEUE: &str = "demo";
/// The database on both clusters.
pub const DATABASE: &str = "shop";

/// Both clusters and everything that runs beside them.
pub struct Stage {
    // Dropped in this order: first the processes, then the servers, then the files.
    daemons: Vec<Daemon>,
    /// The cluster that is written to.
    pub source: Cluster,
    /// The cluster that follows.
    pub target: Cluster,
    dir: tempfile::TempDir,
}

/// A process of the suite.
struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Stage {
    /// Starts both clusters and writes the configuration files.
    ///
    /// # Errors
    /// No server binaries, or a server that does not start.
    pub fn set_up(args: &Args) -> Result<Stage> {
        let dir = tempfile::Builder::new()
            .prefix("skytools-demo-")
            .tempdir()
            .map_err(|e| Error::new(ErrorKind::System, "cannot make a temporary directory").with_source(e))?;
        let start = |bin: &Option<PathBuf>| -> Result<Cluster> {
            let installation = match bin {
                Some(bin) => Installation::at(bin.clone()),
                None => Installation::find(None),
            }
            .map_err(server_error)?;
            Cluster::builder()
                .installation(&installation)
                .conf("shared_buffers = 256MB")
                .conf("max_wal_size = 2GB")
                .conf("synchronous_commit = off")
                .conf("max_prepared_transactions = 10")
                .start()
                .map_err(server_error)
        };
        let source = start(&args.source_bin)?;
        let target = start(&args.target_bin)?;
        for cluster in [&source, &target] {
            cluster.create_database(DATABASE).map_err(server_error)?;
        }
        let stage = Stage { daemons: Vec::new(), source, target, dir };
        stage.write_configuration()?;
        Ok(stage)
    }

    fn write_configuration(&self) -> Result<()> {
        let dir = self.dir.path().display();
        let (source, target) = (self.source.connstr(DATABASE), self.target.connstr(DATABASE));
        // The server's address alone: pgqd finds the databases by itself.
        let server: String = self.source.connstr("template1").replace("dbname=template1", "");
        self.write(
            "pgqd.ini",
            &format!(
                "[pgqd]\nbase_connstr = {}\ninitial_database = template1\nlogfile = {dir}/pgqd.log\npidfile = {dir}/pgqd.pid\n\
                 syslog = 0\ncheck_period = 2\nticker_period = 0.2\n",
                server.trim()
            ),
        )?;
        for (name, node, connstr) in [("source", "source", &source), ("target", "target", &target)] {
            self.write(
                &format!("{name}.ini"),
                &format!(
                    "[londiste]\njob_name = demo_{node}\ndb = {connstr}\nqueue_name = {QUEUE}\nlogfile = {dir}/worker-{name}.log\n\
                     pidfile = {dir}/worker-{name}.pid\nloop_delay = 0.2\nparallel_copies = 3\n"
                ),
            )?;
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).map_err(|e| {
            Error::new(ErrorKind::System, format!("cannot write {}", path.display())).with_source(e)
        })
    }

    /// The connect string of the source database.
    ///
    /// # Errors
    /// Never in practice: the cluster made it.
    pub fn source_db(&self) -> Result<ConnectString> {
        ConnectString::parse(&self.source.connstr(DATABASE))
    }

    /// The connect string of the target database.
    ///
    /// # Errors
    /// Never in practice: the cluster made it.
    pub fn target_db(&self) -> Result<ConnectString> {
        ConnectString::parse(&self.target.connstr(DATABASE))
    }

    /// Runs `skytools ARGS…` to its end and returns what it printed.
    ///
    /// # Errors
    /// A non-zero status, with the text that the command printed.
    pub async fn skytools(&mut self, args: &[&str]) -> Result<String> {
        let output = self.run(args).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::new(
            ErrorKind::State,
            format!(
                "`skytools {}` failed: {}{}",
                args.join(" "),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        ))
    }

    /// Runs `skytools ARGS…` to its end, whatever its status, while the other processes are watched: a command
    /// that waits for one that has ended would wait for ever.
    ///
    /// # Errors
    /// The executable cannot be started, or a process that it may depend on has ended.
    pub async fn run(&mut self, args: &[&str]) -> Result<std::process::Output> {
        let output = self.command(args)?.stdin(Stdio::null()).kill_on_drop(true).output();
        let mut output = std::pin::pin!(output);
        loop {
            tokio::select! {
                done = &mut output => return done
                    .map_err(|e| Error::new(ErrorKind::System, "cannot run this executable again").with_source(e)),
                () = tokio::time::sleep(Duration::from_millis(200)) => self.check()?,
            }
        }
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let exe = std::env::current_exe().map_err(|e| {
            Error::new(ErrorKind::System, "cannot find the path of this executable").with_source(e)
        })?;
        let mut command = Command::new(exe);
        command.args(args).current_dir(self.dir.path());
        Ok(command)
    }

    /// Starts a process of the suite that runs until the stage falls.
    ///
    /// # Errors
    /// The executable cannot be started.
    pub fn start(&mut self, name: &'static str, args: &[&str]) -> Result<()> {
        let log = self.dir.path().join(format!("{name}.err"));
        let io = |e| Error::new(ErrorKind::System, format!("cannot start {name}")).with_source(e);
        let file = File::create(&log).map_err(io)?;
        // The log file named in the configuration has everything; the terminal belongs to the demonstration.
        let child = self
            .command(args)?
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(io)?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        self.daemons.push(Daemon { name, child, log });
        Ok(())
    }

    /// Fails when one of the started processes has ended.
    ///
    /// # Errors
    /// Names the process and the end of its log.
    pub fn check(&mut self) -> Result<()> {
        for daemon in &mut self.daemons {
            let status = daemon.child.try_wait().map_err(|e| {
                Error::new(ErrorKind::System, format!("cannot watch {}", daemon.name)).with_source(e)
            })?;
            if let Some(status) = status {
                let log = std::fs::read_to_string(&daemon.log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(Error::state(format!("{} ended ({status}): {}", daemon.name, tail.join(" | ")))
                    .hint("run again with --keep and read the logs"));
            }
        }
        Ok(())
    }

    /// Asks every process to stop and waits; one that does not is killed when the stage falls.
    pub async fn stop(&mut self) {
        for daemon in &self.daemons {
            if let Some(pid) = daemon.child.id().and_then(|id| i32::try_from(id).ok()) {
                // The process may have ended by itself: then there is nobody to tell.
                if let Err(error) =
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)
                {
                    eprintln!("cannot stop {}: {error}", daemon.name);
                }
            }
        }
        for daemon in &mut self.daemons {
            if tokio::time::timeout(Duration::from_secs(5), daemon.child.wait()).await.is_err() {
                eprintln!("{} did not stop within 5 s and is killed", daemon.name);
            }
        }
        self.daemons.clear();
    }

    /// Leaves servers, configuration files and logs in place and says how to look at them and how to remove them.
    ///
    /// # Errors
    /// A watchdog that does not let go.
    pub fn keep(self) -> Result<String> {
        let (source, target) = (self.source.connstr(DATABASE), self.target.connstr(DATABASE));
        let dir = self.dir.keep();
        let kept = [self.source.keep().map_err(server_error)?, self.target.keep().map_err(server_error)?];
        let shown = dir.display();
        Ok(format!(
            "source:  psql \"{source}\"\ntarget:  psql \"{target}\"\nfiles:   {shown}\n\
             go on:   skytools pgqd -d {shown}/pgqd.ini; skytools londiste {shown}/target.ini worker -d\n\
             remove:  {}; {}; rm -rf '{shown}'\n",
            kept[0].remove_command, kept[1].remove_command,
        ))
    }
}

/// An error of the cluster crate in the suite's form.
pub fn server_error(error: cluster::Error) -> Error {
    let hint = error.hint_text().map(str::to_owned);
    let wrapped = Error::new(ErrorKind::System, "a throw-away cluster failed").with_source(error);
    match hint {
        Some(hint) => wrapped.hint(hint),
        None => wrapped,
    }
}
