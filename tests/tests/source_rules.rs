//! The rules on sources that no lint of the compiler holds: who may depend on whom, how long a file may be, and
//! what may not be left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::places::workspace;

/// What each crate may use of the others. Dependencies point one way: the executable knows the programs, programs
/// know the queue, the queue knows the framework; nobody knows a program but the demonstration, which runs them.
const MAY_USE: &[(&str, &[&str])] = &[
    ("skytools", &[]),
    ("cluster", &[]),
    ("testkit", &["cluster"]),
    ("pgq", &["skytools"]),
    ("pgqd", &["skytools", "pgq"]),
    ("londiste", &["skytools", "pgq"]),
    ("demo", &["skytools", "pgq", "pgqd", "londiste", "cluster"]),
    ("skytools-cli", &["skytools", "pgqd", "londiste", "demo"]),
    // Nothing but tests.
    ("e2e", &["skytools", "cluster", "testkit", "pgq", "londiste"]),
    ("bench", &["skytools", "pgq", "londiste", "cluster"]),
];

/// What tests may use besides: everything that is not a program's executable.
const TESTS_MAY_USE: &[&str] = &["skytools", "cluster", "testkit", "pgq", "londiste", "pgqd"];

/// A file past this many lines is two files.
const LONGEST_FILE: usize = 800;

#[test]
fn dependencies_point_one_way() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without name")?;
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} is a new crate: give it its place in MAY_USE"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let used = dependency["name"].as_str().context("a dependency without name")?;
            let for_tests = dependency["kind"] == "dev" && TESTS_MAY_USE.contains(&used);
            if names.contains(&used) && !allowed.contains(&used) && !for_tests {
                wrong.push(format!("{name} may not depend on {used}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let mut wrong = Vec::new();
    for file in sources()? {
        let lines = std::fs::read_to_string(&file)?.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!(
                "{} has {lines} lines; past {LONGEST_FILE} a file is two files",
                file.display()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn nothing_is_left_for_later() -> Result<()> {
    // Put together here, so that this file does not find itself.
    let unwanted =
        [["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["#[ig", "nore"]].map(|p| p.concat());
    let mut wrong = Vec::new();
    for file in sources()?.iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        for (number, line) in std::fs::read_to_string(file)?.lines().enumerate() {
            if let Some(found) = unwanted.iter().find(|u| line.contains(u.as_str())) {
                wrong.push(format!("{}:{}: {found}", file.display(), number + 1));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The files that people write and read, without what is built.
fn sources() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for top in ["crates", "sql", "tests", "setup", "bench", "examples", "fuzz"] {
        let top = workspace().join(top);
        if top.is_dir() {
            collect(&top, &mut files)?;
        }
    }
    ensure!(files.len() > 20, "only {} sources found below {}", files.len(), workspace().display());
    Ok(files)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        // A linked directory (a crate's view of sql/) is read in its own place.
        if entry.file_type()?.is_dir() {
            if !path.ends_with("target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| ["rs", "sql", "sh", "py"].iter().any(|known| e == *known))
        {
            files.push(path);
        }
    }
    Ok(())
}
