//! The original programs, for the tests of interoperation.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cluster::Installation;
use nix::fcntl::{Flock, FlockArg};

use crate::places::cache_dir;

/// The Python generation, as published on PyPI; the versions that the facts of this project were learned from.
const REQUIREMENTS: &[&str] = &["skytools==3.10.0", "pgq==3.8", "londiste==3.12", "psycopg2-binary==2.9.13"];

/// The original extensions and daemon, as packaged by Debian.
#[derive(Debug, Clone)]
pub struct DebianOriginals {
    /// A server in which `create extension pgq, pgq_node, londiste` works.
    pub installation: Installation,
    /// The original pgqd.
    pub pgqd: PathBuf,
}

/// The original Python programs.
#[derive(Debug, Clone)]
pub struct PythonOriginals {
    bin: PathBuf,
}

impl PythonOriginals {
    /// The interpreter that can import `skytools`, `pgq` and `londiste`.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.bin.join("python")
    }

    /// One of the installed programs, such as `londiste`.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.bin.join(name);
        ensure!(path.is_file(), "the Python packages brought no program {}", path.display());
        Ok(path)
    }
}

/// Finds Debian's packages of the originals.
pub fn debian_originals() -> Result<DebianOriginals> {
    let pgqd = PathBuf::from("/usr/bin/pgqd");
    for installation in Installation::find_all() {
        let dir = PathBuf::from(format!("/usr/share/postgresql/{}/extension", installation.major()));
        let debian = installation.bindir().starts_with("/usr/lib/postgresql");
        let complete =
            ["pgq", "pgq_node", "londiste"].iter().all(|e| dir.join(format!("{e}.control")).is_file());
        if debian && complete && pgqd.is_file() {
            return Ok(DebianOriginals { installation, pgqd });
        }
    }
    let major = Installation::find(None).map_or(15, |i| i.major());
    bail!(
        "Debian's packages of the original PgQ and Londiste are not installed: run setup/install.sh test, or \
         apt-get install postgresql-{major} postgresql-{major}-pgq3 postgresql-{major}-pgq-node \
         postgresql-{major}-londiste-sql pgqd"
    )
}

/// Finds the virtual environment with the Python originals, or makes it (once per target directory).
pub fn python() -> Result<PythonOriginals> {
    let dir = cache_dir("python")?;
    let lock = File::create(dir.join("lock")).context("creating the lock of the Python environment")?;
    // Several test programs may need it first at the same time. The lock ends with the value.
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e).context("locking")?;
    let venv = dir.join("venv");
    let originals = PythonOriginals { bin: venv.join("bin") };
    let stamp = dir.join("installed");
    let wanted = REQUIREMENTS.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) && originals.python().is_file() {
        return Ok(originals);
    }
    if venv.exists() {
        std::fs::remove_dir_all(&venv).with_context(|| format!("removing {}", venv.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        .context("making a Python environment (Debian, Ubuntu: apt-get install python3-venv)")?;
    run(Command::new(originals.python())
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(REQUIREMENTS))
    .context("installing the original Python programs with pip")?;
    std::fs::write(&stamp, wanted)?;
    Ok(originals)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
