//! A daemon with its configuration file, and databases for it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cluster::Cluster;
use testkit::{PATIENCE, Process, wait_for};

/// Periods short enough for a test.
pub const QUICK: &str =
    "ticker_period = 0.05\nmaint_period = 0.1\nretry_period = 0.1\ncheck_period = 0.2\nstats_period = 1\n";

/// A configuration file, and the daemon that runs by it.
pub struct Daemon {
    pub process: Process,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts pgqd with quick periods and these lines.
    pub fn start(lines: &str) -> Result<Daemon> {
        let dir = tempfile::tempdir()?;
        write_config(dir.path(), lines)?;
        let process = command(&[]).args([dir.path().join("pgqd.ini")]).start()?;
        Ok(Daemon { process, dir })
    }

    /// Starts pgqd for all databases of a server.
    pub fn serving(cluster: &Cluster) -> Result<Daemon> {
        Self::start(&base(cluster))
    }

    /// Writes the configuration file anew, without telling the daemon.
    pub fn configure(&self, lines: &str) -> Result<()> {
        write_config(self.dir.path(), lines)
    }

    pub fn ini(&self) -> PathBuf {
        self.dir.path().join("pgqd.ini")
    }

    pub fn pidfile(&self) -> PathBuf {
        self.dir.path().join("pgqd.pid")
    }

    /// Another process with the same configuration.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = command(&[]).args([self.ini()]).start()?;
        Ok(())
    }

    /// Waits for a line in its log.
    pub async fn says(&mut self, text: &str) -> Result<()> {
        self.process.wait_for_output(text, PATIENCE).await
    }
}

/// The pgqd of this build.
pub fn command(arguments: &[&str]) -> testkit::Spawn {
    Process::command(env!("CARGO_BIN_EXE_pgqd")).args(arguments)
}

fn write_config(dir: &Path, lines: &str) -> Result<()> {
    let text = format!("[pgqd]\npidfile = {}\n{QUICK}{lines}", dir.join("pgqd.pid").display());
    Ok(std::fs::write(dir.join("pgqd.ini"), text)?)
}

/// The line that leads to a server.
pub fn base(cluster: &Cluster) -> String {
    format!("base_connstr = host={} port={} user=postgres\n", cluster.socket_dir().display(), cluster.port())
}

/// A server whose extensions are the originals.
pub async fn original_server() -> Result<Cluster> {
    let installation = testkit::debian_originals()?.installation;
    testkit::own_cluster(move |b| b.installation(&installation)).await
}

/// A database with the original PgQ and a queue `q`.
pub fn original_database(cluster: &Cluster, name: &str) -> Result<()> {
    cluster.create_database(name)?;
    cluster.psql(name, "create extension pgq; select pgq.create_queue('q')")?;
    Ok(())
}

/// The newest tick of a queue.
pub fn newest_tick(cluster: &Cluster, db: &str, queue: &str) -> Result<i64> {
    let sql = format!(
        "select coalesce(max(tick_id), 0) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = '{queue}'"
    );
    Ok(cluster.psql(db, &sql)?.trim().parse()?)
}

/// Waits until a queue got a tick for an event inserted now.
pub async fn is_ticked(cluster: &Cluster, db: &str, queue: &str) -> Result<()> {
    wait_for(&format!("a tick in {db:?}"), PATIENCE, || async {
        // An event makes the next tick due at once (queue_ticker_max_lag is 3 s otherwise).
        cluster
            .psql(db, "update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'")?;
        Ok(Some(()))
    })
    .await?;
    let before = newest_tick(cluster, db, queue)?;
    cluster.psql(db, &format!("select pgq.insert_event('{queue}', 't', 'd')"))?;
    wait_for(&format!("a tick of {queue:?} in {db:?}"), PATIENCE, || async {
        Ok((newest_tick(cluster, db, queue)? > before).then_some(()))
    })
    .await
}
