//! One cluster per test program, one database per test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};
use cluster::{Builder, Cluster};
use tokio_postgres::Client;

use crate::modules::install_modules;
use crate::places;

/// The database with every module that test databases are copied from.
const TEMPLATE: &str = "template_skytools";

/// How much of the server's log is shown for a failed test.
const LOGGED_LINES: usize = 60;

/// Started by the first test that needs it. A static is never dropped: the cluster's watchdog removes it when the
/// test program ends.
static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();

/// Numbers the databases of this program.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A database of its own for one test, in the test program's shared cluster; dropped with the value.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    connstr: String,
}

impl TestDb {
    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connect string, as superuser, through a unix socket.
    #[must_use]
    pub fn connstr(&self) -> &str {
        &self.connstr
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Client> {
        crate::connect(&self.connstr).await
    }

    /// Runs SQL with psql and returns what it printed (`-At`).
    pub fn psql(&self, sql: &str) -> Result<String> {
        Ok(shared_cluster()?.psql(&self.name, sql)?)
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Ok(cluster) = shared_cluster() else { return };
        // The test harness keeps what a test prints and shows it when the test fails.
        let mine = format!("@{} ", self.name);
        let log = cluster.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&mine)).collect();
        if !lines.is_empty() {
            let tail = &lines[lines.len().saturating_sub(LOGGED_LINES)..];
            eprintln!("--- what the server logged about {}:\n{}\n---", self.name, tail.join("\n"));
        }
        let sql = format!("drop database if exists {} with (force)", self.name);
        if let Err(error) = cluster.psql("postgres", &sql) {
            eprintln!("{error:?}");
        }
    }
}

/// Settings of every test cluster; `initdb` runs once per machine and binary.
fn builder() -> Result<Builder> {
    Ok(Cluster::builder().initdb_cache(places::cache_dir("initdb")?))
}

/// The cluster that the tests of this program share. Tests must not change what is cluster-wide (roles, settings,
/// rotation with foreign transaction ids): those take [`own_cluster`].
pub fn shared_cluster() -> Result<&'static Cluster> {
    let made = SHARED.get_or_init(|| start_shared().map_err(|error| format!("{error:?}")));
    made.as_ref().map_err(|error| anyhow!("the tests' shared cluster did not start: {error}"))
}

fn start_shared() -> Result<Cluster> {
    let cluster = builder()?.max_connections(300).start()?;
    cluster.create_database(TEMPLATE)?;
    install_modules(&cluster, TEMPLATE)?;
    cluster
        .psql("postgres", &format!("alter database {TEMPLATE} is_template true allow_connections false"))?;
    Ok(cluster)
}

/// A fresh database with every SQL module.
pub async fn database() -> Result<TestDb> {
    blocking(database_blocking).await
}

/// As [`database`], for tests without a runtime.
pub fn database_blocking() -> Result<TestDb> {
    create(TEMPLATE)
}

/// A fresh database without any module.
pub async fn empty_database() -> Result<TestDb> {
    blocking(|| create("template0")).await
}

fn create(template: &str) -> Result<TestDb> {
    let cluster = shared_cluster()?;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    cluster.psql("postgres", &format!("create database {name} template {template}"))?;
    Ok(TestDb { connstr: cluster.connstr(&name), name })
}

/// A cluster for one test alone; `adjust` changes its settings.
pub async fn own_cluster(adjust: impl FnOnce(Builder) -> Builder + Send + 'static) -> Result<Cluster> {
    blocking(|| own_cluster_blocking(adjust)).await
}

/// As [`own_cluster`], for tests without a runtime.
pub fn own_cluster_blocking(adjust: impl FnOnce(Builder) -> Builder) -> Result<Cluster> {
    Ok(adjust(builder()?).start()?)
}

/// Creates a database with every SQL module in a cluster of the test's own; returns its connect string.
pub fn database_on(cluster: &Cluster, name: &str) -> Result<String> {
    cluster.create_database(name)?;
    install_modules(cluster, name)?;
    Ok(cluster.connstr(name))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("the task that makes a database or cluster died")?
}
