//! A connect string as it was given, before defaults from the environment are added.

use std::fmt;
use std::str::FromStr;

use super::conninfo::{self, quote_value};
use super::keyword;
use crate::{Error, Result};

/// A parsed libpq connect string, keywords or URI. `Display` and `Debug` never show a password.
///
/// Holds only what was written: defaults from `PG*` variables, service files and `.pgpass` are added each time
/// a connection is opened, so that a changed password file is noticed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectString {
    pairs: Vec<(String, String)>,
}

impl ConnectString {
    /// Parses a connect string in either of libpq's forms, `keyword=value …` or `postgresql://…`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the unknown keyword or the number of the
    /// malformed item; never with text that could be part of a password.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(ConnectString { pairs: conninfo::parse(text)? })
    }

    /// The value written for a keyword; defaults are not considered.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Sets a keyword, replacing what was written.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the keyword is unknown or not available.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        conninfo::check(key, value, false)?;
        match self.pairs.iter_mut().find(|(name, _)| name == key) {
            Some(slot) => value.clone_into(&mut slot.1),
            None => self.pairs.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// This connect string with those keywords added or replaced (`remote_extra_connstr` of a configuration).
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn with_extra(&self, extra: &str) -> Result<Self> {
        let mut merged = self.clone();
        for (name, value) in conninfo::parse(extra)? {
            merged.set(&name, &value)?;
        }
        Ok(merged)
    }

    /// Whether a password, or another secret, is written in it.
    pub fn has_password(&self) -> bool {
        self.pairs.iter().any(|(name, value)| keyword::is_secret(name) && !value.is_empty())
    }

    /// The keyword form **with** the password, for another program's connection only; never log or store it.
    pub fn to_conninfo(&self) -> String {
        self.render(|_, value| quote_value(value))
    }

    /// The keyword form for a place where others can read it: a table of node locations, another program's
    /// command line.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a password is written in it.
    pub fn sanitize_for_storage(&self) -> Result<String> {
        if self.has_password() {
            return Err(Error::config(
                "the connect string contains a password, and it would be stored where others can read it",
            )
            .hint("Leave the password out and put it into ~/.pgpass or a service file on every machine that connects."));
        }
        Ok(self.to_conninfo())
    }

    /// The pairs as written.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    fn render(&self, value_text: impl Fn(&str, &str) -> String) -> String {
        let words: Vec<String> =
            self.pairs.iter().map(|(name, value)| format!("{name}={}", value_text(name, value))).collect();
        words.join(" ")
    }
}

impl FromStr for ConnectString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        ConnectString::parse(text)
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(|name, value| {
            if keyword::is_secret(name) { "***".to_owned() } else { quote_value(value) }
        }))
    }
}

impl fmt::Debug for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectString({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let parsed = ConnectString::parse("postgresql://joe:s3cret@db/x?application_name=a%20b").unwrap();
        assert_eq!(parsed.to_string(), "user=joe password=*** host=db dbname=x application_name='a b'");
        assert!(!format!("{parsed:?}").contains("s3cret"));
        assert!(parsed.to_conninfo().contains("s3cret"));
        assert_eq!(ConnectString::parse(&parsed.to_conninfo()).unwrap(), parsed);
    }

    #[test]
    fn storage_refuses_a_password() {
        let with = ConnectString::parse("host=a password=x").unwrap();
        let error = with.sanitize_for_storage().unwrap_err();
        assert!(error.hint_text().unwrap().contains(".pgpass"));
        assert!(!ConnectString::parse("host=a password=''").unwrap().has_password());
        assert_eq!(
            ConnectString::parse("host=a dbname='b c'").unwrap().sanitize_for_storage().unwrap(),
            "host=a dbname='b c'"
        );
    }

    #[test]
    fn extra_words_replace() {
        let base = ConnectString::parse("host=a sslmode=disable").unwrap();
        let merged = base.with_extra("sslmode=require port=6").unwrap();
        assert_eq!(merged.to_string(), "host=a sslmode=require port=6");
        assert!(base.with_extra("nonsense=1").is_err());
        let mut changed = base;
        assert!(changed.set("nonsense", "1").is_err());
        changed.set("host", "z").unwrap();
        assert_eq!(changed.get("host"), Some("z"));
        assert_eq!(changed.get("dbname"), None);
    }
}
