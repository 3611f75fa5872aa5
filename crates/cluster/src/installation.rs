//! Finding the PostgreSQL server binaries of this machine.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// One set of PostgreSQL server binaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    bindir: PathBuf,
    library_path: Option<PathBuf>,
    major: u32,
    version: String,
}

impl Installation {
    /// The installation whose `initdb` and `postgres` are in `bindir`.
    ///
    /// # Errors
    /// A program is missing or does not tell its version.
    pub fn at(bindir: impl Into<PathBuf>) -> Result<Installation> {
        Self::with_library_path(bindir, None)
    }

    /// As [`Installation::at`], for binaries that find their shared libraries only through `LD_LIBRARY_PATH`
    /// (as those unpacked from archives of other package managers do).
    ///
    /// # Errors
    /// A program is missing or does not tell its version.
    pub fn with_library_path(
        bindir: impl Into<PathBuf>,
        library_path: Option<PathBuf>,
    ) -> Result<Installation> {
        let bindir = bindir.into();
        for program in ["initdb", "postgres"] {
            if !bindir.join(program).is_file() {
                return Err(Error::new(format!("{} has no program {program}", bindir.display())).hint(
                    "name the directory with the PostgreSQL server programs in PG_BIN, \
                     for example PG_BIN=/usr/lib/postgresql/15/bin",
                ));
            }
        }
        let mut installation = Installation { bindir, library_path, major: 0, version: String::new() };
        let text = run(installation.command("postgres").arg("--version"))?;
        let (major, version) = parse_version(&text).ok_or_else(|| {
            Error::new(format!(
                "{}/postgres --version said {text:?}, which is not a PostgreSQL version",
                installation.bindir.display()
            ))
        })?;
        installation.major = major;
        installation.version = version;
        Ok(installation)
    }

    /// Every installation found: `$PG_BIN`, `pg_config --bindir`, `/usr/lib/postgresql/*/bin` (newest first), and
    /// the directory of a `postgres` in `$PATH`, in this order and each once.
    #[must_use]
    pub fn find_all() -> Vec<Installation> {
        let mut seen = BTreeSet::new();
        candidates()
            .into_iter()
            .filter(|dir| seen.insert(dir.canonicalize().unwrap_or_else(|_| dir.clone())))
            .filter_map(|dir| Installation::at(dir).ok())
            .collect()
    }

    /// The first installation found, of the given major version if one is asked for.
    ///
    /// # Errors
    /// None is found; `PG_BIN` is set and holds no server programs.
    pub fn find(major: Option<u32>) -> Result<Installation> {
        if let Some(dir) = std::env::var_os("PG_BIN").filter(|dir| !dir.is_empty()) {
            // A wrong PG_BIN must not silently test some other server.
            let installation = Installation::at(PathBuf::from(dir))?;
            if major.is_none_or(|wanted| wanted == installation.major) {
                return Ok(installation);
            }
        }
        let found = Self::find_all();
        if let Some(installation) = found.iter().find(|i| major.is_none_or(|wanted| wanted == i.major)) {
            return Ok(installation.clone());
        }
        let what = major.map_or_else(|| "server".to_owned(), |wanted| format!("{wanted} server"));
        let others: Vec<String> = found.iter().map(|i| i.version.clone()).collect();
        let seen = if others.is_empty() { String::new() } else { format!(" (found: {})", others.join(", ")) };
        Err(Error::new(format!("no PostgreSQL {what} programs found{seen}")).hint(format!(
            "install them (Debian, Ubuntu: apt-get install postgresql{}), or name their directory in PG_BIN",
            major.map_or_else(String::new, |wanted| format!("-{wanted}"))
        )))
    }

    /// The directory of the programs.
    #[must_use]
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// The major version, such as 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The full version as the server tells it, such as `15.18`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The path of one of the programs, whether or not it exists.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// The path of a client program: this installation's own, else that of another installation or of `$PATH`
    /// (some packages bring a server without psql).
    ///
    /// # Errors
    /// Nobody has it.
    pub fn client_program(&self, name: &str) -> Result<PathBuf> {
        let own = self.program(name);
        if own.is_file() {
            return Ok(own);
        }
        let elsewhere = Self::find_all().into_iter().map(|i| i.bindir);
        elsewhere.chain(path_directories()).map(|dir| dir.join(name)).find(|path| path.is_file()).ok_or_else(|| {
            Error::new(format!("no program {name} found beside {} or in PATH", self.bindir.display()))
                .hint("install the PostgreSQL client programs (Debian, Ubuntu: apt-get install postgresql-client)")
        })
    }

    /// A command for one of the programs, in a clean environment: no `PG*` variable of the caller, the C locale.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        clean_environment(&mut command);
        if let Some(path) = &self.library_path {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    /// What `pg_config --<what>` of this installation says, computed from the programs' own place when they are a
    /// relocated copy.
    pub(crate) fn configured(&self, what: &str) -> Result<PathBuf> {
        if !self.program("pg_config").is_file() {
            return Err(Error::new(format!("{} has no pg_config", self.bindir.display())).hint(
                "install the package that brings pg_config (Debian, Ubuntu: libpq-dev or postgresql-common)",
            ));
        }
        let text = run(self.command("pg_config").arg(format!("--{what}")))?;
        Ok(PathBuf::from(text.trim_end_matches('\n')))
    }

    pub(crate) fn library_path(&self) -> Option<&Path> {
        self.library_path.as_deref()
    }
}

/// Removes the caller's settings that would change what PostgreSQL's programs do.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
}

/// Runs a command to its end and returns its standard output; a failure carries its standard error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|e| Error::io(format!("starting {name} failed"), e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let also = String::from_utf8_lossy(&output.stdout);
        return Err(Error::new(format!(
            "{name} failed ({}): {}{}",
            output.status,
            said.trim_end(),
            also.trim_end()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn candidates() -> Vec<PathBuf> {
    let mut list = Vec::new();
    if let Some(dir) = std::env::var_os("PG_BIN").filter(|dir| !dir.is_empty()) {
        list.push(PathBuf::from(dir));
    }
    let mut pg_config = Command::new("pg_config");
    if let Ok(text) = run(pg_config.arg("--bindir")) {
        list.push(PathBuf::from(text.trim_end_matches('\n')));
    }
    if let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<(u32, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let major = entry.file_name().to_str()?.parse().ok()?;
                Some((major, entry.path().join("bin")))
            })
            .collect();
        versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        list.extend(versions.into_iter().map(|(_, dir)| dir));
    }
    list.extend(path_directories());
    list
}

fn path_directories() -> Vec<PathBuf> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → (15, "15.18"); also `17devel`, `18beta1`.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let word = text.split_whitespace().nth(2).filter(|_| text.contains("PostgreSQL"))?;
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages_and_betas() {
        let of = |text| parse_version(text).map(|(major, version)| format!("{major}|{version}"));
        assert_eq!(of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(), Some("15|15.18"));
        assert_eq!(of("postgres (PostgreSQL) 18beta1").as_deref(), Some("18|18beta1"));
        assert_eq!(of("busybox 1.2 3"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_directory_without_server_is_named() {
        let error = Installation::at("/nonexistent/bin").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/bin"), "{error}");
        assert!(error.hint_text().unwrap().contains("PG_BIN"));
    }
}
