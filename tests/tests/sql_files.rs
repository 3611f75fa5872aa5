//! Runs every `sql/*/tests/*.sql` as a test of its own name, with psql, in a fresh database with all modules.
//!
//! A file passes when psql ends without an error (`ON_ERROR_STOP`). Comment lines at its top change where it runs:
//! `-- cluster: own` gives it a server of its own, for what is cluster-wide (rotation, roles, transaction ids), and
//! each `-- conf: NAME = VALUE` after that adds a line to this server's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("collecting the SQL tests failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>> {
    let mut files = Vec::new();
    for module in sorted(&testkit::places::sql_dir())? {
        let tests = module.join("tests");
        if tests.is_dir() {
            let (scripts, parts): (Vec<_>, Vec<_>) =
                sorted(&tests)?.into_iter().partition(|f| f.extension().is_some_and(|e| e == "sql"));
            used(&scripts, &parts)?;
            files.extend(scripts);
        }
    }
    ensure!(!files.is_empty(), "no sql/*/tests/*.sql found below {}", testkit::places::sql_dir().display());
    Ok(files
        .into_iter()
        .map(|file| {
            let name = name_of(&file);
            Trial::test(name, move || run(&file).map_err(|error| Failed::from(format!("{error:#}"))))
        })
        .collect())
}

/// Every other file beside the tests is one that a test includes: what nobody runs tests nothing.
fn used(scripts: &[PathBuf], parts: &[PathBuf]) -> Result<()> {
    let mut texts = String::new();
    for script in scripts {
        texts += &std::fs::read_to_string(script).with_context(|| format!("reading {}", script.display()))?;
    }
    for part in parts {
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        ensure!(
            texts.lines().any(|line| line.trim() == format!("\\ir {name}")),
            "{} is not a test, and no test includes it with \\ir",
            part.display()
        );
    }
    Ok(())
}

/// `sql/pgq/tests/ticker.sql` → `pgq::ticker`.
fn name_of(file: &Path) -> String {
    let part =
        |p: Option<&Path>| p.and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
    format!("{}::{}", part(file.ancestors().nth(2)), part(Some(file)))
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn run(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut head = text.lines().take_while(|line| line.starts_with("--"));
    if head.next().map(str::trim) == Some("-- cluster: own") {
        let conf: Vec<String> = head
            .filter_map(|line| line.strip_prefix("-- conf:"))
            .map(|line| line.trim().to_owned())
            .collect();
        let cluster = testkit::own_cluster_blocking(|b| conf.into_iter().fold(b, cluster::Builder::conf))?;
        testkit::database_on(&cluster, "test")?;
        return psql(cluster.psql_command("test")?, file);
    }
    let db = testkit::database_blocking()?;
    psql(testkit::shared_cluster()?.psql_command(db.name())?, file)
}

fn psql(mut command: Command, file: &Path) -> Result<()> {
    let output =
        command.args(["-q", "-f"]).arg(file).stdin(Stdio::null()).output().context("running psql")?;
    ensure!(
        output.status.success(),
        "psql: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
