//! Runs the scripts of `tests/differential` against Debian's C extension and against our SQL, and compares what they print, line by line.
//!
//! A script prints nothing that may differ between two runs, such as times and transaction ids. Differences that
//! were decided (`docs/differences.md`) have tests of their own in `sql/pgq/tests`; none is filtered out here.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;

/// How many differing lines a failure shows.
const SHOWN: usize = 20;

/// Every script below `tests/differential`, at any depth; a file that is none is an error, for nothing would run it.
fn scripts() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("differential")];
    while let Some(dir) = dirs.pop() {
        let entries = std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
        for path in entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()? {
            if path.is_dir() {
                dirs.push(path);
            } else {
                ensure!(path.extension().is_some_and(|e| e == "sql"), "{} is not a script", path.display());
                paths.push(path);
            }
        }
    }
    paths.sort();
    ensure!(!paths.is_empty(), "no scripts in tests/differential");
    Ok(paths)
}

/// The modules that a script is about, and that alone are installed on both sides: those of a first line `-- modules: pgq pgq_node londiste`, else pgq.
fn modules(script: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(script).with_context(|| format!("reading {}", script.display()))?;
    let named = text.lines().next().and_then(|line| line.strip_prefix("-- modules:"));
    Ok(named.unwrap_or("pgq").split_whitespace().map(str::to_owned).collect())
}

/// What psql prints for a script, results and messages in their order.
fn output(cluster: &Cluster, db: &str, script: &Path) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().context("making a directory for the output")?;
    let path = dir.path().join("out");
    let file = std::fs::File::create(&path).context("creating the output file")?;
    let mut command = cluster.psql_command(db)?;
    // one file for both streams keeps messages between the results they belong to
    command
        .args([
            "-X",
            "-q",
            "-A",
            "-v",
            "ON_ERROR_STOP=0",
            "-v",
            "VERBOSITY=terse",
            "-v",
            "SHOW_CONTEXT=never",
            "-f",
        ])
        .arg(script)
        .env("PGTZ", "UTC")
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("sharing the output file")?)
        .stderr(file);
    let status = command.status().context("running psql")?;
    ensure!(status.success(), "psql on {db}: {status}");
    let text = std::fs::read_to_string(&path).context("reading the output")?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[test]
fn our_sql_prints_what_the_c_extension_prints() -> Result<()> {
    let debian = testkit::debian_originals()?;
    let major = debian.installation.major();
    let cluster = testkit::own_cluster_blocking(|b| b.version(Some(major)))?;

    let mut failures = Vec::new();
    for (number, script) in scripts()?.iter().enumerate() {
        let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (original, ours) = (format!("original_{number}"), format!("ours_{number}"));
        cluster.create_database(&original)?;
        for module in modules(script)? {
            cluster.psql(&original, &format!("create extension {module}"))?;
        }
        cluster.create_database(&ours)?;
        for module in modules(script)? {
            testkit::install_module(&cluster, &ours, &module)?;
        }

        // side by side, which halves the time
        let (expected, found) = std::thread::scope(|scope| {
            let expected = scope.spawn(|| output(&cluster, &original, script));
            let found = output(&cluster, &ours, script);
            let expected = expected.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (expected, found)
        });
        let (expected, found) = (expected?, found?);
        ensure!(expected.len() > 100, "{name} printed only {} lines on the original", expected.len());
        let differing: Vec<String> = (0..expected.len().max(found.len()))
            .filter(|&i| expected.get(i) != found.get(i))
            .map(|i| {
                format!("line {}:\n  original: {:?}\n  ours:     {:?}", i + 1, expected.get(i), found.get(i))
            })
            .collect();
        if !differing.is_empty() {
            let shown = differing.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
            failures.push(format!("{name}: {} of {} lines differ\n{shown}", differing.len(), expected.len()));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}
