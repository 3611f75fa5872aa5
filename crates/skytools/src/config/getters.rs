//! Typed access to the keys of a [`Config`].
//!
//! A key that is present but empty counts as absent for [`Config::get_opt`] and [`Config::get_file`]; the other
//! text getters return the empty value, as the original does. The typed getters cut an inline comment
//! (`; …` after a blank, as Python 2's parser did); text getters do not, because SQL may contain it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Config, parse_bytes};
use crate::{Error, Result};

impl Config {
    /// The value of a key that must exist. It may be empty.
    ///
    /// # Errors
    /// Names the missing key.
    pub fn get(&self, key: &str) -> Result<String> {
        self.expanded(key)?.ok_or_else(|| {
            let section = self.section();
            self.key_error(key, "required key is missing")
                .hint(format!("Add \"{key} = …\" to section [{section}] or give --set {key}=…"))
        })
    }

    /// The value of a key, or `None` when it is absent or empty.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_opt(&self, key: &str) -> Result<Option<String>> {
        Ok(self.expanded(key)?.filter(|v| !v.is_empty()))
    }

    /// The value of a key, or the default when it is absent.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_or(&self, key: &str, default: &str) -> Result<String> {
        Ok(self.expanded(key)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A value without an inline comment.
    fn plain(&self, key: &str) -> Result<Option<String>> {
        Ok(self.expanded(key)?.map(|v| without_comment(&v).to_owned()))
    }

    fn bad_value(&self, key: &str, value: &str, wanted: &str) -> Error {
        self.key_error(key, format_args!("\"{}\" is not {wanted}", crate::log::redact(value)))
    }

    /// An integer, or the default when the key is absent.
    ///
    /// # Errors
    /// The value is empty or no integer.
    pub fn get_int(&self, key: &str, default: i64) -> Result<i64> {
        match self.plain(key)? {
            None => Ok(default),
            Some(v) => v.parse().map_err(|_| self.bad_value(key, &v, "a whole number")),
        }
    }

    /// A finite number, or the default when the key is absent.
    ///
    /// # Errors
    /// The value is empty or no number.
    pub fn get_float(&self, key: &str, default: f64) -> Result<f64> {
        match self.plain(key)? {
            None => Ok(default),
            Some(v) => match v.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                _ => Err(self.bad_value(key, &v, "a number")),
            },
        }
    }

    /// A time in seconds, fractions allowed; zero when the number is negative.
    ///
    /// # Errors
    /// The value is no number, or longer than a `Duration` can hold.
    pub fn get_duration(&self, key: &str, default_seconds: f64) -> Result<Duration> {
        let seconds = self.get_float(key, default_seconds)?.max(0.0);
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| self.bad_value(key, &seconds.to_string(), "a number of seconds"))
    }

    /// A truth value: `1 yes true on` or `0 no false off` in any case; the default when the key is absent.
    ///
    /// # Errors
    /// Any other value.
    pub fn get_bool(&self, key: &str, default: bool) -> Result<bool> {
        match self.plain(key)? {
            None => Ok(default),
            Some(v) => match v.to_ascii_lowercase().as_str() {
                "1" | "yes" | "true" | "on" => Ok(true),
                "0" | "no" | "false" | "off" => Ok(false),
                _ => Err(self.bad_value(key, &v, "one of 1, yes, true, on, 0, no, false, off")),
            },
        }
    }

    /// A comma-separated list, items trimmed. Absent or empty gives no items; empty items between commas are kept.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_list(&self, key: &str) -> Result<Vec<String>> {
        let value = self.expanded(key)?.unwrap_or_default();
        let value = value.trim();
        if value.is_empty() {
            return Ok(Vec::new());
        }
        Ok(value.split(',').map(|item| item.trim().to_owned()).collect())
    }

    /// A comma-separated list of `name:value`, in order; an item without colon is its own value.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_dict(&self, key: &str) -> Result<Vec<(String, String)>> {
        let items = self.get_list(key)?;
        let pair = |item: &String| match item.split_once(':') {
            Some((name, value)) => (name.trim().to_owned(), value.trim().to_owned()),
            None => (item.clone(), item.clone()),
        };
        Ok(items.iter().map(pair).collect())
    }

    /// A file name with a leading `~` replaced by the home directory. `None` when absent or empty; `-` stays `-`.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_file(&self, key: &str) -> Result<Option<PathBuf>> {
        Ok(self.plain(key)?.filter(|v| !v.is_empty()).map(|v| expand_home(&v)))
    }

    /// A number of bytes such as `10485760`, `10M` or `10 MB`, or the default when the key is absent.
    ///
    /// # Errors
    /// Any other value.
    pub fn get_bytes(&self, key: &str, default: u64) -> Result<u64> {
        match self.plain(key)? {
            None => Ok(default),
            Some(v) => {
                parse_bytes(&v).ok_or_else(|| self.bad_value(key, &v, "a number of bytes such as 10M or 2G"))
            }
        }
    }

    /// The most specific of several keys: each `*` of `pattern` is replaced by the next of `values`, the last ones
    /// given up first. `a.*.*` with `x`, `y` tries `a.x.y`, `a.x.*`, `a.*.*`.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_wildcard(&self, pattern: &str, values: &[&str]) -> Result<Option<String>> {
        let mut names = vec![pattern.to_owned()];
        let mut done = String::new();
        let mut rest = pattern;
        for value in values {
            let Some((before, after)) = rest.split_once('*') else { break };
            done.push_str(before);
            done.push_str(value);
            rest = after;
            names.push(format!("{done}{rest}"));
        }
        for name in names.iter().rev() {
            if let Some(value) = self.expanded(name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

fn without_comment(value: &str) -> &str {
    let comment =
        value.char_indices().find(|&(at, c)| c == ';' && value[..at].ends_with(char::is_whitespace));
    comment.map_or(value, |(at, _)| &value[..at]).trim()
}

/// Replaces a leading `~` or `~user`.
fn expand_home(name: &str) -> PathBuf {
    let Some(rest) = name.strip_prefix('~') else { return PathBuf::from(name) };
    let (user, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let home = if user.is_empty() {
        std::env::home_dir()
    } else {
        // A look-up that fails leaves the name as written, as the shell does.
        nix::unistd::User::from_name(user).ok().flatten().map(|u| u.dir)
    };
    match home {
        Some(home) if tail.is_empty() => home,
        Some(home) => home.join(tail),
        None => PathBuf::from(name),
    }
}
