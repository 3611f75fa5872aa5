//! A root and a leaf whose schema, worker and ticker are each either the original's or ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Builder, Cluster};
use testkit::{Process, Spawn, wait_for};
use tokio_postgres::Client;

use crate::pair::{LIMIT, QUEUE};

/// Whose part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The Debian packages of SQL and pgqd, the Python programs.
    Original,
    /// This project.
    Ours,
}

/// How much of a log is shown for a failed test.
const LOGGED_LINES: usize = 60;

/// A node: a server, a database `db`, one configuration file that both programs understand.
pub struct Node {
    /// The worker that runs now.
    pub worker: Option<Process>,
    /// The server.
    pub cluster: Cluster,
    name: &'static str,
    dir: tempfile::TempDir,
}

impl Node {
    /// A server with the database; `schema` says whose SQL is installed. The original's programs install theirs
    /// themselves (`create extension`).
    ///
    /// # Errors
    /// The server does not start.
    pub async fn new(name: &'static str, schema: Side) -> Result<Node> {
        testkit::debian_originals()?;
        let settings = |b: Builder| {
            b.conf("max_prepared_transactions = 20").conf("max_wal_size = 1GB").conf("fsync = off")
        };
        let cluster = testkit::own_cluster(settings).await?;
        match schema {
            Side::Original => cluster.create_database("db")?,
            Side::Ours => drop(testkit::database_on(&cluster, "db")?),
        }
        let dir = tempfile::Builder::new().prefix("node-").tempdir()?;
        let text = format!(
            "[londiste]\njob_name = {name}_worker\ndb = {}\nqueue_name = {QUEUE}\npidfile = {1}/worker.pid\nlogfile = {1}/worker.log\n\
             loop_delay = 0.1\nexception_sleep = 0.3\nlock_timeout = 60\nparallel_copies = 5\nlocal_wm_publish_period = 1\nglobal_wm_publish_period = 1\n",
            cluster.connstr("db"),
            dir.path().display()
        );
        std::fs::write(dir.path().join("node.ini"), text)?;
        Ok(Node { worker: None, cluster, name, dir })
    }

    /// The connect string of its database.
    pub fn connstr(&self) -> String {
        self.cluster.connstr("db")
    }

    /// A connection to its database.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn db(&self) -> Result<Client> {
        testkit::connect(&self.connstr()).await
    }

    /// Runs SQL and returns what psql printed.
    ///
    /// # Errors
    /// What psql says.
    pub fn psql(&self, sql: &str) -> Result<String> {
        Ok(self.cluster.psql("db", sql)?)
    }

    /// A file beside the configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file beside the configuration and returns its path.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        std::fs::write(self.path(name), text)?;
        Ok(self.path(name).display().to_string())
    }

    /// `londiste node.ini ARGS…` of either side, not started yet.
    ///
    /// # Errors
    /// The program is not there.
    pub fn command(&self, side: Side, args: &[&str]) -> Result<Spawn> {
        let ini = self.path("node.ini");
        let spawn = match side {
            Side::Ours => testkit::skytools([Path::new("londiste"), &ini])?,
            Side::Original => Process::command(testkit::python()?.program("londiste")?).args([ini]),
        };
        Ok(spawn.args(args).label(format!("{side:?} londiste {} on {}", args.join(" "), self.name)))
    }

    /// Runs `londiste node.ini ARGS…`; anything but success is an error. Returns all it said.
    ///
    /// # Errors
    /// The command's whole output.
    pub async fn run(&self, side: Side, args: &[&str]) -> Result<String> {
        let process = self.command(side, args)?.run(LIMIT).await?;
        ensure!(
            process.status().is_some_and(|s| s.success()),
            "{side:?} londiste {} on {}: {:?}\n{}",
            args.join(" "),
            self.name,
            process.status(),
            process.output()
        );
        Ok(process.output())
    }

    /// Starts a worker; the one before must have ended.
    ///
    /// # Errors
    /// It is still there, or the program cannot be started.
    pub fn start_worker(&mut self, side: Side) -> Result<()> {
        ensure!(self.worker.is_none(), "{} has a worker already", self.name);
        self.worker = Some(self.command(side, &["worker"])?.start()?);
        Ok(())
    }

    /// Stops the worker as an operator does (`worker -s`), by the program of `side`.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop_worker(&mut self, side: Side) -> Result<()> {
        wait_for("the worker's pidfile", LIMIT, || async {
            Ok(self.path("worker.pid").exists().then_some(()))
        })
        .await?;
        self.run(side, &["worker", "-s"]).await?;
        let mut worker = self.worker.take().context("no worker")?;
        let status = worker.wait(LIMIT).await?;
        ensure!(status.success(), "the worker of {} ended with {status}", self.name);
        Ok(())
    }

    /// Kills the worker and every copy that the original's worker left in the background.
    ///
    /// # Errors
    /// The system.
    pub async fn kill_worker(&mut self) -> Result<()> {
        if let Some(mut worker) = self.worker.take() {
            worker.kill9()?;
        }
        self.kill_copies().await
    }

    /// Kills the copies in the background and waits until the server has seen them go.
    async fn kill_copies(&self) -> Result<()> {
        for pid in self.copy_pids()? {
            kill(pid)?;
        }
        // The server notices a lost client only when it reads or writes.
        let sql = "select pg_terminate_backend(pid, 10000) from pg_stat_activity
                   where datname = 'db' and pid <> pg_backend_pid() and backend_type = 'client backend'";
        self.db().await?.query(sql, &[]).await?;
        Ok(())
    }

    /// Processes named by the pidfiles of copies.
    fn copy_pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        for entry in std::fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            let is_copy =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("worker.pid.copy."));
            if is_copy {
                // The owner may remove it under our eyes.
                if let Ok(text) = std::fs::read_to_string(&path) {
                    pids.extend(text.trim().parse::<i32>());
                }
            }
        }
        Ok(pids)
    }

    /// State of a table here, `none` when the copy has not begun.
    ///
    /// # Errors
    /// What the server says.
    pub async fn state(&self, db: &Client, table: &str) -> Result<String> {
        let sql =
            "select coalesce(merge_state, 'none') from londiste.get_table_list($1) where table_name = $2";
        Ok(db.query_one(sql, &[&QUEUE, &table]).await?.get(0))
    }
}

/// A process that has gone already is what was wanted.
fn kill(pid: i32) -> Result<()> {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    match kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e).context("killing a copy"),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.worker = None;
        match self.copy_pids() {
            Ok(pids) => {
                for pid in pids {
                    if let Err(e) = kill(pid) {
                        eprintln!("{e:?}");
                    }
                }
            }
            Err(e) => eprintln!("{e:?}"),
        }
        // The copies of the original have no other output.
        if let Ok(log) = std::fs::read_to_string(self.path("worker.log")) {
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOGGED_LINES)..];
            eprintln!("--- log of {}:\n{}\n---", self.name, tail.join("\n"));
        }
    }
}

/// Root and leaf, and the root's ticker.
pub struct Mixed {
    /// The ticker of the root's server.
    pub pgqd: Option<Process>,
    /// The root.
    pub root: Node,
    /// The leaf.
    pub leaf: Node,
}

impl Drop for Mixed {
    fn drop(&mut self) {
        // Before the servers: what fails because they are gone would bury what matters.
        self.pgqd = None;
        self.leaf.worker = None;
        self.root.worker = None;
    }
}

impl Mixed {
    /// Two servers with the schemas of the given sides; nothing runs yet.
    ///
    /// # Errors
    /// A server does not start.
    pub async fn new(root: Side, leaf: Side) -> Result<Mixed> {
        let (root, leaf) = tokio::join!(Node::new("root", root), Node::new("leaf", leaf));
        Ok(Mixed { pgqd: None, root: root?, leaf: leaf? })
    }

    /// Creates the nodes and starts ticker and workers, each by the program of its side.
    ///
    /// # Errors
    /// A command fails.
    pub async fn start(&mut self, root: Side, leaf: Side) -> Result<()> {
        let provider = format!("--provider={}", self.root.connstr());
        self.root.run(root, &["create-root", "root", &self.root.connstr()]).await?;
        // Waiting for the idle tick is not what is tested.
        self.root.psql(
            "update pgq.queue set queue_ticker_max_lag = '0.2 seconds', queue_ticker_idle_period = '0.5 seconds'",
        )?;
        self.start_pgqd(root)?;
        self.root.start_worker(root)?;
        self.leaf.run(leaf, &["create-leaf", "leaf", &self.leaf.connstr(), &provider]).await?;
        self.leaf.start_worker(leaf)
    }

    /// Starts (or replaces) the root's ticker.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_pgqd(&mut self, side: Side) -> Result<()> {
        self.pgqd = None;
        let connstr = self.root.connstr();
        let (base, _) = connstr.split_once(" dbname=").context("a connect string")?;
        let text = format!(
            "[pgqd]\nbase_connstr = {base}\ninitial_database = postgres\ndatabase_list = db\nsyslog = 0\nlogfile = {}\n\
             check_period = 1\nticker_period = 0.1\nmaint_period = 1\nretry_period = 1\n",
            self.root.path("pgqd.log").display()
        );
        let config = self.root.write("pgqd.ini", &text)?;
        let spawn = match side {
            Side::Original => Process::command(testkit::debian_originals()?.pgqd).args([config]),
            Side::Ours => testkit::skytools(["pgqd".to_owned(), config])?,
        };
        self.pgqd = Some(spawn.label(format!("{side:?} pgqd")).start()?);
        Ok(())
    }

    /// Waits until every local table of the leaf is in state `ok`.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn wait_in_sync(&self) -> Result<()> {
        let db = self.leaf.db().await?;
        wait_for("all tables in sync", LIMIT, || async {
            let sql = "select string_agg(table_name || ': ' || coalesce(merge_state, 'none'), ', ')
                         from londiste.get_table_list($1) where local and merge_state is distinct from 'ok'";
            let open: Option<String> = db.query_one(sql, &[&QUEUE]).await?.get(0);
            ensure!(open.is_none(), "{}", open.unwrap_or_default());
            Ok(Some(()))
        })
        .await
    }

    /// Waits until the leaf has replayed everything that was committed on the root before the call.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn wait_replayed(&self) -> Result<()> {
        // Two ticks: the snapshot of the first may be older than this call.
        self.wait_for_a_tick().await?;
        self.wait_for_a_tick().await
    }

    async fn wait_for_a_tick(&self) -> Result<()> {
        let (root, leaf) = (self.root.db().await?, self.leaf.db().await?);
        let before: i64 = root.query_one("select pgq.force_tick($1)", &[&QUEUE]).await?.get(0);
        wait_for("everything replayed", LIMIT, || async {
            let sql = "select completed_tick, cur_error from pgq_node.get_worker_state($1)";
            let row = leaf.query_one(sql, &[&QUEUE]).await?;
            let (done, error): (i64, Option<String>) = (row.get(0), row.get(1));
            ensure!(done > before, "at tick {done}, need more than {before}; error: {error:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until the leaf's position has moved beyond where it is now, and returns the new one.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn wait_progress(&self) -> Result<i64> {
        let leaf = self.leaf.db().await?;
        let position = || async {
            let sql = "select completed_tick from pgq_node.get_worker_state($1)";
            Ok::<i64, anyhow::Error>(leaf.query_one(sql, &[&QUEUE]).await?.get(0))
        };
        let before = position().await?;
        wait_for("the leaf moves on", LIMIT.min(Duration::from_secs(60)), || async {
            Ok(Some(position().await?).filter(|now| *now > before))
        })
        .await
    }
}
