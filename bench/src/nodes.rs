//! Two servers, and the ways of replicating between them: piped COPY, native logical replication, the original's
//! Londiste, ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};
use cluster::Cluster;

use crate::ground::{self, PeerMissing};
use crate::peers::Tools;
use crate::program::{Daemon, succeed, wait_until};
use crate::session::Session;
use crate::workplace;

/// The table of the measurements in the documentation.
pub const ACC: &str = "(id bigint primary key, grp int not null, name text, balance numeric(12,2) not null, note text, \
     updated timestamptz not null default now())";

/// Source and target.
pub struct Servers {
    /// Written to.
    pub source: Cluster,
    /// Follows.
    pub target: Cluster,
    /// Configuration files and logs.
    pub dir: tempfile::TempDir,
}

impl Servers {
    /// Two servers set up alike.
    ///
    /// # Errors
    /// A server does not start.
    pub fn start() -> Result<Servers> {
        Ok(Servers { source: ground::cluster()?, target: ground::cluster()?, dir: workplace::directory()? })
    }

    /// Makes a database of that name on both, and runs the same statements in both.
    ///
    /// # Errors
    /// The servers refuse.
    pub fn create(&self, db: &str, sql: &str) -> Result<()> {
        for cluster in [&self.source, &self.target] {
            cluster.create_database(db)?;
            cluster.psql(db, sql)?;
        }
        Ok(())
    }

    /// What PostgreSQL calls itself.
    pub fn version(&self) -> String {
        format!("PostgreSQL {}", self.source.installation().version())
    }

    /// Fails unless the table holds the same rows on both sides, by number and checksum.
    ///
    /// # Errors
    /// It does not.
    pub fn must_agree(&self, db: &str, table: &str) -> Result<()> {
        let sum = format!("select count(*), sum(hashtextextended(t::text, 0)::numeric) from {table} t");
        let (there, here) = (self.source.psql(db, &sum)?, self.target.psql(db, &sum)?);
        if there != here {
            bail!("{db}: {table} differs: {} at the source, {} at the target", there.trim(), here.trim());
        }
        Ok(())
    }
}

/// Native logical replication of tables in database `db`.
pub struct Native<'a> {
    servers: &'a Servers,
    db: &'static str,
    state: Session,
}

impl<'a> Native<'a> {
    /// Publishes tables; nobody subscribes yet.
    ///
    /// # Errors
    /// The server refuses.
    pub fn publish(servers: &'a Servers, db: &'static str, tables: &[String]) -> Result<Native<'a>> {
        servers.source.psql(db, &format!("create publication p for table {}", tables.join(", ")))?;
        Ok(Native { servers, db, state: Session::open(&servers.target, db)? })
    }

    /// Subscribes, and waits until every table is ready.
    ///
    /// # Errors
    /// The servers refuse.
    pub fn subscribe(&self, copy: bool) -> Result<()> {
        self.servers.target.psql(
            self.db,
            &format!(
                "create subscription s_{} connection '{}' publication p with (copy_data = {copy})",
                self.db,
                self.servers.source.connstr(self.db).replace('\'', "''")
            ),
        )?;
        wait_until("the subscription's tables are ready", || {
            self.state.value("select count(*) > 0 and bool_and(srsubstate = 'r') from pg_subscription_rel")
        })
    }

    /// Fails when the server has switched the subscription off, as it may after an error.
    ///
    /// # Errors
    /// It has, or the server does not answer.
    pub fn check(&self) -> Result<()> {
        let enabled = format!("select subenabled from pg_subscription where subname = 's_{}'", self.db);
        ensure!(self.state.value::<bool>(&enabled)?, "subscription s_{} is switched off", self.db);
        Ok(())
    }

    /// Ends the subscription.
    ///
    /// # Errors
    /// The servers refuse.
    pub fn unsubscribe(&self) -> Result<()> {
        self.servers.target.psql(self.db, &format!("drop subscription s_{}", self.db)).map(drop)?;
        Ok(())
    }

    /// Switches applying on or off; off also waits until the slot is free.
    ///
    /// # Errors
    /// The servers refuse.
    pub fn enable(&self, on: bool) -> Result<()> {
        let word = if on { "enable" } else { "disable" };
        self.state.execute(&format!("alter subscription s_{} {word}", self.db))?;
        if on {
            return Ok(());
        }
        let slot = format!(
            "select coalesce(bool_or(active), false)::text from pg_replication_slots where slot_name = 's_{}'",
            self.db
        );
        wait_until("the replication slot is free", || {
            Ok(self.servers.source.psql(self.db, &slot)?.trim() == "false")
        })
    }
}

/// Which Londiste.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The original's Python program on the original's extensions, ticked by Debian's pgqd.
    Python,
    /// This project's.
    Ours,
}

/// Root and leaf of one queue, with their daemons, all with default settings (but two copies at once).
pub struct Londiste<'a> {
    /// Its name with version.
    pub name: String,
    db: &'static str,
    servers: &'a Servers,
    program: Vec<OsString>,
    dir: PathBuf,
    state: Session,
    // Dropped in this order: whoever reads first.
    leaf: Option<Daemon>,
    root: Option<Daemon>,
    pgqd: Option<Daemon>,
}

impl<'a> Londiste<'a> {
    /// Sets up both nodes on database `db` (which [`Servers::create`] made) and starts everything.
    ///
    /// # Errors
    /// [`PeerMissing`]; a command fails.
    pub fn start(servers: &'a Servers, tools: &Tools, kind: Kind, db: &'static str) -> Result<Londiste<'a>> {
        let skytools = tools.skytools()?;
        let (name, program, pgqd) = match kind {
            Kind::Python => {
                let python = tools.python()?;
                let (pgqd, _) = Tools::debian_pgqd()?;
                for cluster in [&servers.source, &servers.target] {
                    let wanted = "select count(*) from pg_available_extensions where name in ('pgq', 'pgq_node', 'londiste')";
                    if cluster.psql(db, wanted)?.trim() != "3" {
                        bail!(PeerMissing("the original's extensions pgq, pgq_node and londiste".to_owned()));
                    }
                    cluster.psql(
                        db,
                        "create extension pgq; create extension pgq_node; create extension londiste",
                    )?;
                }
                let program = vec![python.londiste_program().into_os_string()];
                (format!("Python Londiste {}", python.londiste), program, Command::new(pgqd))
            }
            Kind::Ours => {
                let mut pgqd = Command::new(&skytools);
                pgqd.arg("pgqd");
                (
                    format!("ours {}", env!("CARGO_PKG_VERSION")),
                    vec![skytools.into(), "londiste".into()],
                    pgqd,
                )
            }
        };
        let dir = servers.dir.path().join(db);
        std::fs::create_dir(&dir)?;
        let mut londiste = Londiste {
            name,
            db,
            servers,
            program,
            dir,
            state: Session::open(&servers.target, db)?,
            leaf: None,
            root: None,
            pgqd: None,
        };
        londiste.configure()?;
        let (source, target) = (servers.source.connstr(db), servers.target.connstr(db));
        londiste.command("root", &["create-root", "root", &source])?;
        londiste.command("leaf", &["create-leaf", "leaf", &target, &format!("--provider={source}")])?;
        londiste.pgqd = Some(londiste.daemon(pgqd, &["pgqd.ini"], "pgqd")?);
        let root = londiste.londiste();
        londiste.root = Some(londiste.daemon(root, &["root.ini", "worker"], "root")?);
        londiste.start_leaf()?;
        Ok(londiste)
    }

    fn configure(&self) -> Result<()> {
        let dir = self.dir.display();
        // The keyword dbname ends the connect strings made by the cluster.
        let all = self.servers.source.connstr(self.db);
        let base = all.split(" dbname=").next().unwrap_or(&all);
        std::fs::write(
            self.dir.join("pgqd.ini"),
            format!(
                "[pgqd]\nbase_connstr = {base}\ninitial_database = postgres\ndatabase_list = {}\nsyslog = 0\nlogfile = {dir}/pgqd.log\npidfile = {dir}/pgqd.pid\n",
                self.db
            ),
        )?;
        for (node, cluster) in [("root", &self.servers.source), ("leaf", &self.servers.target)] {
            std::fs::write(
                self.dir.join(format!("{node}.ini")),
                format!(
                    "[londiste]\njob_name = {}_{node}\ndb = {}\nqueue_name = q\nparallel_copies = 2\nlogfile = {dir}/{node}.log\npidfile = {dir}/{node}.pid\n",
                    self.db,
                    cluster.connstr(self.db)
                ),
            )?;
        }
        Ok(())
    }

    fn londiste(&self) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]);
        command
    }

    fn daemon(&self, mut command: Command, args: &[&str], name: &str) -> Result<Daemon> {
        command.args(args);
        Daemon::start(&mut command, &self.dir.join(format!("{name}.out")))
    }

    /// Runs `londiste NODE.ini ARGS…`.
    ///
    /// # Errors
    /// It fails.
    pub fn command(&self, node: &str, args: &[&str]) -> Result<String> {
        succeed(self.londiste().arg(format!("{node}.ini")).args(args).current_dir(&self.dir))
    }

    /// Starts the leaf's worker.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_leaf(&mut self) -> Result<()> {
        self.leaf = Some(self.daemon(self.londiste(), &["leaf.ini", "worker"], "leaf")?);
        Ok(())
    }

    /// Ends the leaf's worker.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_leaf(&mut self) -> Result<()> {
        self.leaf.take().map_or(Ok(()), Daemon::stop)
    }

    /// Fails when one of the daemons has ended.
    ///
    /// # Errors
    /// One has.
    pub fn check(&mut self) -> Result<()> {
        [&mut self.pgqd, &mut self.root, &mut self.leaf].into_iter().flatten().try_for_each(Daemon::check)
    }

    /// Adds tables at the root, and waits until the leaf knows of them.
    ///
    /// # Errors
    /// A command fails.
    pub fn publish(&mut self, tables: &[String]) -> Result<()> {
        let args: Vec<&str> = std::iter::once("add-table").chain(tables.iter().map(String::as_str)).collect();
        self.command("root", &args)?;
        let known = format!(
            "select count(*) = {} from londiste.table_info where table_name = any('{{{}}}')",
            tables.len(),
            tables.join(",")
        );
        wait_until("the leaf knows the tables", || {
            self.check()?;
            self.state.value(&known)
        })
    }

    /// Adds tables at the leaf, and waits until all of them are in step.
    ///
    /// # Errors
    /// A command fails.
    pub fn subscribe(&mut self, tables: &[String]) -> Result<()> {
        let args: Vec<&str> = std::iter::once("add-table").chain(tables.iter().map(String::as_str)).collect();
        self.command("leaf", &args)?;
        let in_step = format!(
            "select count(*) = {} from londiste.table_info where merge_state = 'ok' and table_name = any('{{{}}}')",
            tables.len(),
            tables.join(",")
        );
        wait_until("the tables are in state ok", || {
            self.check()?;
            self.state.value(&in_step)
        })
    }

    /// Removes tables from the leaf.
    ///
    /// # Errors
    /// A command fails.
    pub fn unsubscribe(&self, tables: &[String]) -> Result<()> {
        let args: Vec<&str> =
            std::iter::once("remove-table").chain(tables.iter().map(String::as_str)).collect();
        self.command("leaf", &args).map(drop)
    }

    /// Makes the ticks after which everything committed so far can be replayed.
    ///
    /// # Errors
    /// The server refuses.
    pub fn tick(&self) -> Result<()> {
        // The original's force_tick only asks for a tick; the ticker must run in a later transaction.
        self.servers.source.psql(self.db, "select pgq.force_tick('q'); select pgq.ticker('q');").map(drop)?;
        Ok(())
    }
}
