//! The ground that contenders stand on: one cluster, one database each.

use std::time::Instant;

use anyhow::{Result, bail};
use cluster::Cluster;
use skytools::install::{self, Module};

/// A peer that is not installed; the program exits with 3, never with a silent pass.
#[derive(Debug)]
pub struct PeerMissing(pub String);

impl std::fmt::Display for PeerMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not installed; setup/install.sh test installs it", self.0)
    }
}

impl std::error::Error for PeerMissing {}

/// A throw-away cluster set up as the measurements in the documentation are.
///
/// # Errors
/// The server does not start.
pub fn cluster() -> Result<Cluster> {
    Ok(Cluster::builder()
        .conf("shared_buffers = 512MB")
        .conf("synchronous_commit = off")
        .conf("max_wal_size = 8GB")
        .conf("checkpoint_timeout = 30min")
        .conf("wal_level = logical")
        .start()?)
}

/// A database with the original extensions.
///
/// # Errors
/// [`PeerMissing`] when the packages are not there.
pub fn original(cluster: &Cluster, db: &str) -> Result<String> {
    cluster.create_database(db)?;
    let available = cluster.psql(db, "select count(*) from pg_available_extensions where name = 'pgq'")?;
    if available.trim() != "1" {
        bail!(PeerMissing(format!("postgresql-{}-pgq3", cluster.installation().major())));
    }
    cluster.psql(db, "create extension pgq")?;
    Ok(format!("PgQ {} (C)", cluster.psql(db, "select pgq.version()")?.trim()))
}

/// A database with our modules.
///
/// # Errors
/// The installation fails.
pub fn ours(cluster: &Cluster, db: &str, modules: &[Module]) -> Result<String> {
    cluster.create_database(db)?;
    let connstr = skytools::db::ConnectString::parse(&cluster.connstr(db))?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = connstr.connect("bench").await?;
        install::install(&mut connection, modules).await?;
        anyhow::Ok(())
    })?;
    Ok(format!("ours {}", env!("CARGO_PKG_VERSION")))
}

/// Seconds that one script takes in psql, without the start of psql.
///
/// # Errors
/// The script fails.
pub fn seconds(cluster: &Cluster, db: &str, sql: &str) -> Result<f64> {
    let began = Instant::now();
    cluster.psql(db, sql)?;
    Ok(began.elapsed().as_secs_f64())
}
