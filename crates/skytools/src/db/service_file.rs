//! Service files: named groups of connection parameters (PostgreSQL documentation, "The Connection Service File").

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::keyword;
use crate::{Error, Result};

/// The parameters of a service, looked up in the user's file and then in the system's.
///
/// # Errors
/// Names the service when no file defines it, and file and line of a malformed file.
pub(super) fn load(
    service: &str,
    explicit_file: Option<&str>,
    env: &Environment,
) -> Result<Vec<(String, String)>> {
    let mut searched = Vec::new();
    for (path, required) in candidates(explicit_file, env) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => continue,
            Err(e) => {
                return Err(
                    Error::config(format!("cannot read service file {}", path.display())).with_source(e)
                );
            }
        };
        if let Some(found) = group(&text, service, &path)? {
            return Ok(found);
        }
        searched.push(path.display().to_string());
    }
    let places = if searched.is_empty() { "no service file exists".to_owned() } else { searched.join(", ") };
    Err(Error::config(format!("definition of service \"{service}\" not found ({places})"))
        .hint("Define it in ~/.pg_service.conf, or name the file in PGSERVICEFILE."))
}

/// Files in the order of search, each with whether it must exist.
fn candidates(explicit_file: Option<&str>, env: &Environment) -> Vec<(PathBuf, bool)> {
    let own = match explicit_file {
        Some(file) => Some((PathBuf::from(file), true)),
        None => env.home().map(|home| (home.join(".pg_service.conf"), false)),
    };
    let system =
        env.var("PGSYSCONFDIR").map_or_else(|| PathBuf::from("/etc/postgresql-common"), PathBuf::from);
    own.into_iter().chain([(system.join("pg_service.conf"), false)]).collect()
}

/// The parameters of `[service]` in a file's text; `None` when the group is not there.
fn group(text: &str, service: &str, path: &Path) -> Result<Option<Vec<(String, String)>>> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        let here = || format!("service file {}, line {}", path.display(), index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if name.strip_suffix(']') == Some(service) {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(values) = &mut found else { continue };
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| Error::config(format!("{}: not of the form keyword=value", here())))?;
        let (name, value) = (name.trim(), value.trim());
        if name.starts_with("ldap") && !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Error::config(format!("{}: LDAP lookup is not supported", here())));
        }
        if matches!(name, "service" | "servicefile") || keyword::find(name).is_none() {
            return Err(Error::config(format!("{}: \"{name}\" cannot be set there", here())));
        }
        if !values.iter().any(|(n, _)| n == name) {
            values.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, service: &str) -> String {
        match group(text, service, Path::new("f")) {
            Ok(None) => "none".to_owned(),
            Ok(Some(pairs)) => pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("|"),
            Err(e) => format!("ERROR {e}"),
        }
    }

    #[test]
    fn groups() {
        let text = "# comment\n[a]\nhost=one\n port = 5 \nhost=two\n\n[b]\ndbname=it's b\npassword=x = y\n[a]\nuser=late\n";
        assert_eq!(shown(text, "a"), "host=one|port=5");
        assert_eq!(shown(text, "b"), "dbname=it's b|password=x = y");
        assert_eq!(shown(text, "c"), "none");
        assert_eq!(shown("[a]\nnoise", "a"), "ERROR service file f, line 2: not of the form keyword=value");
        assert_eq!(shown("[a]\nhots=x", "a"), "ERROR service file f, line 2: \"hots\" cannot be set there");
        assert_eq!(
            shown("[a]\nservice=b", "a"),
            "ERROR service file f, line 2: \"service\" cannot be set there"
        );
        assert_eq!(shown("garbage\n[a]\nhost=x", "a"), "host=x");
    }
}
