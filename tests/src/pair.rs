//! Two nodes on two clusters of their own, with pgqd and the workers as processes that can be killed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::{Builder, Cluster};
use testkit::{Process, skytools, wait_for};
use tokio_postgres::Client;

/// The queue that carries everything.
pub const QUEUE: &str = "q";

/// How long any one command may take before the test is called hung.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Root and leaf.
pub struct Pair {
    // Dropped in this order: processes, servers, files.
    /// The ticker of the source server.
    pub pgqd: Option<Process>,
    /// The worker of the root.
    pub root: Option<Process>,
    /// The worker of the leaf.
    pub leaf: Option<Process>,
    /// The server that is written to.
    pub source: Cluster,
    /// The server that follows.
    pub target: Cluster,
    dir: tempfile::TempDir,
    user: Option<String>,
}

impl Pair {
    /// Two clusters with an empty database `db` each, owned by `owner` when given (a role without superuser).
    ///
    /// # Errors
    /// A server does not start.
    pub async fn clusters(owner: Option<&str>) -> Result<Pair> {
        let settings = |b: Builder| {
            b.conf("max_prepared_transactions = 20")
                .conf("shared_buffers = 64MB")
                .conf("max_wal_size = 1GB")
                // A crash test is about the processes; the operating system does not crash here.
                .conf("fsync = off")
        };
        let source = testkit::own_cluster(settings).await?;
        let target = testkit::own_cluster(settings).await?;
        for cluster in [&source, &target] {
            match owner {
                Some(owner) => {
                    cluster
                        .psql("postgres", &format!("create role {owner} login nosuperuser nocreaterole"))?;
                    cluster.psql("postgres", &format!("create database db owner {owner}"))?;
                }
                None => cluster.create_database("db")?,
            }
        }
        let dir = tempfile::Builder::new().prefix("pair-").tempdir()?;
        let pair =
            Pair { pgqd: None, root: None, leaf: None, source, target, dir, user: owner.map(str::to_owned) };
        pair.write_configuration()?;
        Ok(pair)
    }

    fn write_configuration(&self) -> Result<()> {
        let dir = self.dir.path().display();
        std::fs::write(
            self.ini("pgqd"),
            format!(
                "[pgqd]\nbase_connstr = {}\ndatabase_list = db\nlogfile = {dir}/pgqd.log\nsyslog = 0\ncheck_period = 1\nticker_period = 0.1\n\
                 maint_period = 0.5\nretry_period = 1\n",
                self.connstr(&self.source).replace("dbname=db", "")
            ),
        )?;
        for (node, cluster) in [("root", &self.source), ("leaf", &self.target)] {
            std::fs::write(
                self.ini(node),
                format!(
                    "[londiste]\njob_name = {node}_worker\ndb = {}\nqueue_name = {QUEUE}\npidfile = {dir}/{node}.pid\nlogfile = {dir}/{node}.log\n\
                     loop_delay = 0.1\nexception_sleep = 0.3\nlock_timeout = 60\nparallel_copies = 2\nlocal_wm_publish_period = 1\nglobal_wm_publish_period = 1\n",
                    self.connstr(cluster)
                ),
            )?;
        }
        Ok(())
    }

    /// The connect string of the node's database, as its owner.
    pub fn connstr(&self, cluster: &Cluster) -> String {
        let all = cluster.connstr("db");
        match &self.user {
            // The last word wins for a keyword given twice.
            Some(user) => format!("{all} user={user}"),
            None => all,
        }
    }

    /// The configuration file of `pgqd`, `root` or `leaf`.
    pub fn ini(&self, node: &str) -> PathBuf {
        self.dir.path().join(format!("{node}.ini"))
    }

    /// The directory of configuration files and logs.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Creates both nodes and starts everything.
    ///
    /// # Errors
    /// A command fails.
    pub async fn start(&mut self) -> Result<()> {
        let (source, target) = (self.connstr(&self.source), self.connstr(&self.target));
        self.londiste("root", &["create-root", "root", &source]).await?;
        self.londiste("leaf", &["create-leaf", "leaf", &target, &format!("--provider={source}")]).await?;
        self.start_pgqd()?;
        self.start_root()?;
        self.start_leaf()
    }

    /// Starts (or replaces) pgqd.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_pgqd(&mut self) -> Result<()> {
        self.pgqd = None;
        self.pgqd = Some(skytools(["pgqd".into(), self.ini("pgqd")])?.label("pgqd").start()?);
        Ok(())
    }

    /// Starts (or replaces) the root's worker.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_root(&mut self) -> Result<()> {
        self.root = None;
        self.root = Some(self.worker("root")?);
        Ok(())
    }

    /// Starts (or replaces) the leaf's worker.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_leaf(&mut self) -> Result<()> {
        self.leaf = None;
        self.leaf = Some(self.worker("leaf")?);
        Ok(())
    }

    fn worker(&self, node: &str) -> Result<Process> {
        skytools(["londiste".into(), self.ini(node), "worker".into()])?
            .label(format!("worker of {node}"))
            .start()
    }

    /// Runs `londiste NODE.ini ARGS…`; anything but success is an error. Returns its standard output.
    ///
    /// # Errors
    /// The command's whole output.
    pub async fn londiste(&self, node: &str, args: &[&str]) -> Result<String> {
        self.command(node, args)?
            .succeed(LIMIT)
            .await
            .with_context(|| format!("londiste {node}.ini {}", args.join(" ")))
    }

    /// Runs `londiste NODE.ini ARGS…` to its end and returns the process, whatever its status.
    ///
    /// # Errors
    /// The program cannot be started, or hangs.
    pub async fn londiste_any(&self, node: &str, args: &[&str]) -> Result<Process> {
        self.command(node, args)?.run(LIMIT).await
    }

    fn command(&self, node: &str, args: &[&str]) -> Result<testkit::Spawn> {
        Ok(skytools(["londiste".into(), self.ini(node)])?.args(args))
    }

    /// A connection to the source database.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn source_db(&self) -> Result<Client> {
        testkit::connect(&self.connstr(&self.source)).await
    }

    /// A connection to the target database.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn target_db(&self) -> Result<Client> {
        testkit::connect(&self.connstr(&self.target)).await
    }

    /// Waits until every local table of the leaf is in state `ok`.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn wait_in_sync(&self) -> Result<()> {
        wait_for("all tables in sync", LIMIT, || async {
            let db = self.target_db().await?;
            let row = db
                .query_one(
                    "select count(*) filter (where merge_state is distinct from 'ok'), string_agg(table_name || ': ' || coalesce(merge_state, 'waiting'), ', ')
                       from londiste.get_table_list($1) where local",
                    &[&QUEUE],
                )
                .await?;
            anyhow::ensure!(row.get::<_, i64>(0) == 0, "{}", row.get::<_, Option<String>>(1).unwrap_or_default());
            Ok(Some(()))
        })
        .await
    }

    /// Waits until the leaf has replayed everything that was committed on the source before the call.
    ///
    /// # Errors
    /// Not within the limit.
    pub async fn wait_replayed(&self) -> Result<()> {
        // Two ticks: the snapshot of the first may be older than this call.
        self.wait_for_a_tick().await?;
        self.wait_for_a_tick().await
    }

    async fn wait_for_a_tick(&self) -> Result<()> {
        let before: i64 = wait_for("a forced tick", LIMIT, || async {
            let db = self.source_db().await?;
            Ok(Some(db.query_one("select pgq.force_tick($1)", &[&QUEUE]).await?.get(0)))
        })
        .await?;
        wait_for("everything replayed", LIMIT, || async {
            let db = self.target_db().await?;
            let row = db
                .query_one("select completed_tick, cur_error from pgq_node.get_worker_state($1)", &[&QUEUE])
                .await?;
            let done: i64 = row.get(0);
            anyhow::ensure!(
                done > before,
                "at tick {done}, need more than {before}; error: {:?}",
                row.get::<_, Option<String>>(1)
            );
            Ok(Some(()))
        })
        .await
    }
}
