//! Where the tests find the source tree and the built programs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The top of the source tree.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The directory of the SQL modules.
#[must_use]
pub fn sql_dir() -> PathBuf {
    workspace().join("sql")
}

/// The directory of built programs of this build: that of the running test, without `deps`.
pub fn program_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("where is this test program?")?;
    let dir = test.parent().context("a program without directory")?;
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir).to_owned() } else { dir.to_owned() })
}

/// A directory under the target directory for what is made once per machine (caches, virtual environments).
pub fn cache_dir(name: &str) -> Result<PathBuf> {
    let programs = program_dir()?;
    let dir = programs.parent().unwrap_or(&programs).join("testkit").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// The path of a built program.
pub fn built_program(name: &str, package: &str) -> Result<PathBuf> {
    let path = program_dir()?.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo build -p {package}` (make test does)",
        path.display()
    );
    Ok(path)
}
