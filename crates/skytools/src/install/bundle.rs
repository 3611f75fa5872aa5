//! The files of a module, from its `install.sql` manifest: comments and `\ir` lines only. What several modules need stands
//! beside their directories.

use std::fmt::Write as _;

use include_dir::{Dir, include_dir};

use super::Module;
use crate::{Error, ErrorKind, Result};

static SQL: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/sql");

/// The embedded file of that path below `sql/`.
pub(super) fn embedded(path: &str) -> Option<&'static str> {
    SQL.get_file(path).and_then(|file| file.contents_utf8())
}

/// One file of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlFile {
    /// Path below `sql/`.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The files that install a module, in order.
///
/// # Errors
/// [`ErrorKind::NotFound`] when this build does not contain the module, [`ErrorKind::Internal`] for a manifest
/// line that is neither a comment nor `\ir FILE`.
pub fn files(module: Module) -> Result<Vec<SqlFile>> {
    let manifest = format!("{module}/install.sql");
    if embedded(&manifest).is_none() {
        return Err(Error::not_found(format!("this build does not contain the module {module}")));
    }
    let mut out = Vec::new();
    collect(&manifest, true, &mut out)?;
    Ok(out)
}

fn collect(path: &str, is_manifest: bool, out: &mut Vec<SqlFile>) -> Result<()> {
    let broken = |what: String| Error::new(ErrorKind::Internal, format!("sql/{path}: {what}"));
    let file = SQL.get_file(path).ok_or_else(|| broken("the file is missing".to_owned()))?;
    let text = file.contents_utf8().ok_or_else(|| broken("not UTF-8".to_owned()))?;
    let name = file.path().to_str().ok_or_else(|| broken("not UTF-8".to_owned()))?;
    if !is_manifest {
        out.push(SqlFile { path: name, text });
        return Ok(());
    }
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("--")) {
        let Some(included) = line.strip_prefix("\\ir ") else {
            return Err(broken(format!("only comments and \\ir lines may stand here, not: {line}")));
        };
        collect(&beside(path, included.trim()), false, out)?;
    }
    Ok(())
}

/// The path of a file that `file` includes, which may lead up with `../`: several modules include one file.
fn beside(file: &str, mut included: &str) -> String {
    let above =
        |path: &str| path.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_owned());
    let mut directory = above(file);
    while let Some(rest) = included.strip_prefix("../") {
        (directory, included) = (above(&directory), rest);
    }
    if directory.is_empty() { included.to_owned() } else { format!("{directory}/{included}") }
}

/// All SQL that installs a module, in one text without transaction commands.
///
/// # Errors
/// As [`files`].
pub fn bundle(module: Module) -> Result<String> {
    let mut text = String::new();
    for file in files(module)? {
        // Writing to a String cannot fail.
        write!(text, "-- sql/{}\n{}\n", file.path, file.text.trim_end()).ok();
        text.push('\n');
    }
    Ok(text)
}

/// A script for psql that installs the modules in one transaction and stops at the first error.
///
/// # Errors
/// As [`files`].
pub fn script(modules: &[Module]) -> Result<String> {
    let names: Vec<&str> = modules.iter().map(|m| m.name()).collect();
    let mut text = format!(
        "-- SkyTools {}: {}. Installs or upgrades; running it again changes nothing.\n\
         \\set ON_ERROR_STOP on\nbegin isolation level read committed;\n{}\n\n",
        env!("CARGO_PKG_VERSION"),
        names.join(", "),
        super::waiting::LOCK,
    );
    for module in modules {
        text.push_str(&bundle(*module)?);
    }
    text.push_str("commit;\n");
    Ok(text)
}

/// The SQL that removes a module.
///
/// # Errors
/// [`ErrorKind::NotFound`] when this build does not contain it.
pub fn uninstall_sql(module: Module) -> Result<&'static str> {
    embedded(&format!("{module}/uninstall.sql"))
        .ok_or_else(|| Error::not_found(format!("this build has no sql/{module}/uninstall.sql")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a module that no manifest names would be forgotten in every installation.
    #[test]
    fn manifests_name_every_file() {
        for module in Module::available() {
            let named: Vec<&str> = files(module).unwrap().into_iter().map(|f| f.path).collect();
            for directory in ["structure", "functions", "triggers"] {
                let Some(dir) = SQL.get_dir(format!("{module}/{directory}")) else { continue };
                for file in dir.files() {
                    let path = file.path().to_str().unwrap();
                    assert!(
                        named.contains(&path),
                        "sql/{path} is in no \\ir line of sql/{module}/install.sql"
                    );
                }
            }
            let mut unique = named.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), named.len(), "sql/{module}/install.sql names a file twice");
            assert!(uninstall_sql(module).is_ok(), "sql/{module}/uninstall.sql is missing");
        }
    }

    #[test]
    fn shared_files_stand_beside_the_modules() {
        assert_eq!(beside("pgq/install.sql", "structure/a.sql"), "pgq/structure/a.sql");
        assert_eq!(beside("pgq/install.sql", "../a.sql"), "a.sql");
        assert_eq!(beside("x/pgq/install.sql", "../../y/a.sql"), "y/a.sql");
    }

    #[test]
    fn no_file_ends_the_transaction_it_runs_in() {
        for module in Module::available() {
            for file in files(module).unwrap() {
                for line in file.text.lines() {
                    let line = line.trim().to_ascii_lowercase();
                    assert!(
                        !matches!(line.as_str(), "commit;" | "rollback;" | "begin;" | "begin transaction;")
                            && !line.contains("create index concurrently")
                            && !line.starts_with('\\'),
                        "sql/{}: {line}",
                        file.path
                    );
                }
            }
        }
    }
}
