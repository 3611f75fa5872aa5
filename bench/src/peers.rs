//! Where the peers are: the original's Python programs and daemon, and our own executable.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::ground::PeerMissing;

/// Paths given on the command line; what is not given is looked for in its usual place.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// Our executable.
    pub skytools: Option<PathBuf>,
    /// Directory with `python` and `londiste` of the original.
    pub python: Option<PathBuf>,
}

/// The original's Python generation.
#[derive(Debug, Clone)]
pub struct Python {
    bin: PathBuf,
    /// Version of package `pgq`.
    pub pgq: String,
    /// Version of package `londiste`.
    pub londiste: String,
}

impl Python {
    /// The interpreter.
    pub fn interpreter(&self) -> PathBuf {
        self.bin.join("python")
    }

    /// The replication program.
    pub fn londiste_program(&self) -> PathBuf {
        self.bin.join("londiste")
    }
}

impl Tools {
    /// Our executable: as told, or beside this program.
    ///
    /// # Errors
    /// It is not there.
    pub fn skytools(&self) -> Result<PathBuf> {
        let path = match &self.skytools {
            Some(path) => path.clone(),
            None => target_dir()?.0.join("skytools"),
        };
        ensure!(
            path.is_file(),
            "{} does not exist; build it with `cargo build --release -p skytools-cli`, or name another one with --skytools",
            path.display()
        );
        Ok(std::path::absolute(path)?)
    }

    /// The Python originals: as told, or the environment that the tests of interoperation make under the target
    /// directory.
    ///
    /// # Errors
    /// [`PeerMissing`] when they cannot be imported.
    pub fn python(&self) -> Result<Python> {
        let bin = match &self.python {
            Some(bin) => std::path::absolute(bin)?,
            None => target_dir()?.1.join("testkit/python/venv/bin"),
        };
        let missing = || {
            PeerMissing(format!(
                "the original's Python generation (pgq, londiste, psycopg2) in {} (or name its directory with --python)",
                bin.display()
            ))
        };
        if !bin.join("python").is_file() || !bin.join("londiste").is_file() {
            bail!(missing());
        }
        let versions = "import psycopg2, pgq, londiste, importlib.metadata as m\nprint(m.version('pgq'), m.version('londiste'))";
        let output = Command::new(bin.join("python")).args(["-c", versions]).output()?;
        if !output.status.success() {
            bail!(missing());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (pgq, londiste) = text.trim().split_once(' ').context("two version numbers")?;
        Ok(Python { pgq: pgq.to_owned(), londiste: londiste.to_owned(), bin })
    }

    /// Debian's ticker daemon and its version.
    ///
    /// # Errors
    /// [`PeerMissing`] when the package is not there.
    pub fn debian_pgqd() -> Result<(PathBuf, String)> {
        let path = Path::new("/usr/bin/pgqd");
        if !path.is_file() {
            bail!(PeerMissing("Debian's pgqd".to_owned()));
        }
        let output = Command::new(path).arg("-V").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().last().unwrap_or("of unknown version").to_owned();
        Ok((path.to_owned(), version))
    }
}

/// The directory of built programs, and the target directory around it.
fn target_dir() -> Result<(PathBuf, PathBuf)> {
    let exe = std::env::current_exe().context("where is this program?")?;
    let programs = exe.parent().context("a program without directory")?;
    let programs = if programs.ends_with("deps") { programs.parent().unwrap_or(programs) } else { programs };
    Ok((programs.to_owned(), programs.parent().unwrap_or(programs).to_owned()))
}
