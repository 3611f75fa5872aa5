//! INI configuration with the interpolation rules of `SkyTools`.

use std::path::Path;

use crate::{Error, Result};

/// A loaded configuration file, seen from its main section.
#[derive(Debug, Clone)]
pub struct Config {
    section: String,
    values: std::collections::BTreeMap<String, String>,
}

impl Config {
    /// Loads `path`, uses the first of `sections` that exists, and applies `--set` overrides.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the file is missing or malformed, or has none of the sections.
    pub fn load(path: &Path, sections: &[&str], overrides: &[(String, String)]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::config(format!("cannot read configuration file {}", path.display())).with_source(e))?;
        let mut values = std::collections::BTreeMap::new();
        let mut current = String::new();
        let mut found = None;
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                current = name.to_owned();
                if found.is_none() && sections.contains(&name) {
                    found = Some(name.to_owned());
                }
            } else if let Some((k, v)) = line.split_once('=')
                && found.as_deref() == Some(current.as_str())
            {
                values.insert(k.trim().to_lowercase(), v.trim().to_owned());
            }
        }
        let section =
            found.ok_or_else(|| Error::config(format!("{}: no section [{}]", path.display(), sections.join("] or ["))))?;
        values.extend(overrides.iter().cloned());
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        values.entry("job_name".into()).or_insert(stem);
        Ok(Config { section, values })
    }

    /// The name of the main section.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The value of a key that must exist.
    ///
    /// # Errors
    /// Names the missing key.
    pub fn get(&self, key: &str) -> Result<String> {
        self.get_opt(key)?.ok_or_else(|| Error::config(format!("[{}]: required key \"{key}\" is missing", self.section)))
    }

    /// The value of a key, or `None` when it is absent or empty.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_opt(&self, key: &str) -> Result<Option<String>> {
        Ok(self.values.get(key).filter(|v| !v.is_empty()).cloned())
    }

    /// The value of a key, or the default.
    ///
    /// # Errors
    /// Bad interpolation.
    pub fn get_or(&self, key: &str, default: &str) -> Result<String> {
        Ok(self.get_opt(key)?.unwrap_or_else(|| default.to_owned()))
    }
}
