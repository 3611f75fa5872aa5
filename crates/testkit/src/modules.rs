//! Installing the SQL modules with psql alone.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;

use crate::places::sql_dir;

/// Every SQL module, in the order in which they build on each other.
pub const MODULES: &[&str] = &["pgq", "pgq_ext", "pgq_coop", "pgq_node", "londiste"];

/// Installs every module into a database, each in one transaction.
pub fn install_modules(cluster: &Cluster, db: &str) -> Result<()> {
    MODULES.iter().try_for_each(|module| install_module(cluster, db, module))
}

/// Installs one module into a database, in one transaction.
pub fn install_module(cluster: &Cluster, db: &str, module: &str) -> Result<()> {
    let manifest = sql_dir().join(module).join("install.sql");
    let output = cluster
        .psql_command(db)?
        .args(["-q", "-1", "-f"])
        .arg(&manifest)
        .stdin(Stdio::null())
        .output()
        .context("running psql")?;
    ensure!(
        output.status.success(),
        "installing {} with psql failed:\n{}",
        manifest.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
