//! The password file (PostgreSQL documentation, "The Password File"): lines `host:port:database:user:password`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, Result};

/// What a line is matched against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Host name as given, `localhost` for the default socket directory.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) dbname: &'a str,
    pub(super) user: &'a str,
}

/// The password for a connection, if the file exists, is private and has a matching line.
///
/// A file that others can read is not used, with a warning, as libpq does.
///
/// # Errors
/// [`ErrorKind::System`](crate::ErrorKind::System) when the file exists and cannot be read.
pub(super) fn password(path: &Path, wanted: Wanted<'_>) -> Result<Option<String>> {
    let failed = |e| {
        Error::new(crate::ErrorKind::System, format!("cannot read password file {}", path.display()))
            .with_source(e)
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(e) => return Err(failed(e)),
    };
    if !metadata.is_file() {
        tracing::warn!("password file {} is not a plain file and is not used", path.display());
        return Ok(None);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            "password file {} has group or world access and is not used; run: chmod 600 {}",
            path.display(),
            path.display()
        );
        return Ok(None);
    }
    let text = std::fs::read(path).map_err(failed)?;
    Ok(find(&String::from_utf8_lossy(&text), wanted))
}

fn find(text: &str, wanted: Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let fields = [wanted.host, &port, wanted.dbname, wanted.user];
    text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.starts_with('#')).find_map(
        |line| {
            let rest = fields.iter().try_fold(line, |rest, field| match_field(rest, field))?;
            let password = unescape(rest);
            (!password.is_empty()).then_some(password)
        },
    )
}

/// The text after `field:` when the line begins with it, or with `*:`.
fn match_field<'l>(line: &'l str, field: &str) -> Option<&'l str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut value = String::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return (value == field).then(|| &line[at + 1..]),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

/// The password: up to an unescaped colon or the end of the line.
fn unescape(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => break,
            '\\' => value.push(chars.next().unwrap_or('\\')),
            _ => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted { host: "db.x", port: 5432, dbname: "app", user: "joe" };

    #[test]
    fn lines() {
        for (text, expected) in [
            ("db.x:5432:app:joe:one", Some("one")),
            ("# db.x:5432:app:joe:one", None),
            ("other:5432:app:joe:one\n*:*:*:*:two", Some("two")),
            ("*:*:*:joe:a\\:b\\\\c", Some("a:b\\c")),
            ("db.x:5433:app:joe:one", None),
            ("db.x:5432:app:joe:", None),
            ("db.x:5432:app:joe:\n*:*:*:*:later", Some("later")),
            ("db.x:5432:app:joe:pass word\r", Some("pass word")),
            ("db.x:5432:app:joe:tail:more", Some("tail")),
            ("db.x:5432:app", None),
            ("", None),
            ("d\\b.x:5432:app:joe:esc", Some("esc")),
        ] {
            assert_eq!(find(text, WANTED).as_deref(), expected, "{text:?}");
        }
        let odd = Wanted { host: "::1", port: 1, dbname: "a:b", user: "back\\slash" };
        assert_eq!(find("\\:\\:1:1:a\\:b:back\\\\slash:x", odd).as_deref(), Some("x"));
    }

    #[test]
    fn a_readable_file_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        assert_eq!(password(&path, WANTED).unwrap(), None);
        std::fs::write(&path, "*:*:*:*:x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(password(&path, WANTED).unwrap(), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path, WANTED).unwrap().as_deref(), Some("x"));
        assert_eq!(password(dir.path(), WANTED).unwrap(), None);
    }
}
