//! The ground that contenders stand on: one cluster, one database each.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use cluster::Cluster;
use skytools::install::{self, Module};

use crate::program::succeed;

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
    extension(cluster, db, "pgq", "pgq3")?;
    Ok(format!("PgQ {} (C)", cluster.psql(db, "select pgq.version()")?.trim()))
}

/// Adds an extension of the original, from Debian's package of that name.
///
/// # Errors
/// [`PeerMissing`] when the package is not there.
pub fn extension(cluster: &Cluster, db: &str, name: &str, package: &str) -> Result<()> {
    let available =
        cluster.psql(db, &format!("select count(*) from pg_available_extensions where name = '{name}'"))?;
    if available.trim() != "1" {
        bail!(PeerMissing(format!("postgresql-{}-{package}", cluster.installation().major())));
    }
    cluster.psql(db, &format!("create extension {name}"))?;
    Ok(())
}

/// A database with the original's build without C.
///
/// # Errors
/// [`PeerMissing`] when the package is not there.
pub fn original_without_c(cluster: &Cluster, db: &str) -> Result<String> {
    cluster.create_database(db)?;
    let major = cluster.installation().major();
    let file = format!("/usr/share/postgresql/{major}/contrib/pgq_pl_only.sql");
    if !Path::new(&file).is_file() {
        bail!(PeerMissing(format!("postgresql-{major}-pgq3 (with {file})")));
    }
    succeed(cluster.psql_command(db)?.args(["-q", "-o", "/dev/null", "-f", &file]))?;
    // Installed in this way it does not know its version: that of the same package's extension.
    let version = "select default_version from pg_available_extensions where name = 'pgq'";
    Ok(format!("PgQ {} (without C)", cluster.psql(db, version)?.trim()))
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

/// Seconds that one script takes in psql, with psql's start: for what takes far longer.
///
/// # Errors
/// The script fails.
pub fn seconds(cluster: &Cluster, db: &str, sql: &str) -> Result<f64> {
    let began = Instant::now();
    cluster.psql(db, sql)?;
    Ok(began.elapsed().as_secs_f64())
}
