//! INI configuration with the interpolation rules of `SkyTools`.
//!
//! A [`Config`] is a file seen from its main section. Lookups go: `--set` overrides, the main section,
//! `[DEFAULT]`, then defaults that the program injected (`job_name`, `service_name`, `host_name`, `config_dir`,
//! `config_file`). Errors name file, line, section and key.

mod getters;
mod ini;
mod interpolate;
mod size;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use self::ini::{Entry, IniFile};
use self::interpolate::Format;
use crate::{Error, Result};

pub use self::size::parse_bytes;

/// The section whose keys are fallbacks of every other one.
const DEFAULT_SECTION: &str = "DEFAULT";

/// A loaded configuration file, seen from its main section.
#[derive(Debug, Clone)]
pub struct Config {
    path: Option<PathBuf>,
    /// The file as shown in messages.
    name: String,
    candidates: Vec<String>,
    section: String,
    overrides: Vec<(String, String)>,
    script_defaults: Vec<(String, String)>,
    file: IniFile,
    format: Format,
}

impl Config {
    /// Loads `path`, uses the first of `sections` that exists, and applies `--set` overrides.
    ///
    /// Several section names serve both generations of file: `&["londiste3", "londiste"]`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the file is missing or malformed, or has none of the sections.
    pub fn load(path: &Path, sections: &[&str], overrides: &[(String, String)]) -> Result<Self> {
        Self::load_with_defaults(path, sections, overrides, &[])
    }

    /// As [`load`](Self::load), with defaults of the program for keys that neither the section nor `[DEFAULT]` has.
    ///
    /// The defaults can be referred to by interpolation and survive a reload.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_defaults(
        path: &Path,
        sections: &[&str],
        overrides: &[(String, String)],
        defaults: &[(&str, &str)],
    ) -> Result<Self> {
        let file = read_file(path)?;
        Self::build(
            Some(path.to_owned()),
            path.display().to_string(),
            file,
            sections.iter().map(|&s| s.to_owned()).collect(),
            overrides.to_vec(),
            defaults.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        )
    }

    /// A configuration from text, for programs without a file. `reload` leaves it as it is.
    ///
    /// # Errors
    /// As [`load`](Self::load); the file is called `(text)` in messages.
    pub fn from_text(text: &str, sections: &[&str], overrides: &[(String, String)]) -> Result<Self> {
        let name = "(text)".to_owned();
        let file = IniFile::parse(&name, text)?;
        let sections = sections.iter().map(|&s| s.to_owned()).collect();
        Self::build(None, name, file, sections, overrides.to_vec(), Vec::new())
    }

    fn build(
        path: Option<PathBuf>,
        name: String,
        file: IniFile,
        candidates: Vec<String>,
        overrides: Vec<(String, String)>,
        script_defaults: Vec<(String, String)>,
    ) -> Result<Self> {
        let found = candidates.iter().find(|s| s.as_str() != DEFAULT_SECTION && file.section(s).is_some());
        let Some(section) = found.cloned() else {
            let wanted = candidates.join("] or [");
            let has = match file.names() {
                [] => "it has no sections at all".to_owned(),
                names => format!("it has [{}]", names.join("], [")),
            };
            return Err(Error::config(format!("{name}: no section [{wanted}]; {has}"))
                .hint("Check that this is the configuration file of this program; --ini prints a sample."));
        };
        let mut config = Config {
            path,
            name,
            candidates,
            section,
            overrides,
            script_defaults,
            file,
            format: Format::Percent,
        };
        config.apply_overrides();
        config.format = config.read_format()?;
        config.inject_defaults();
        Ok(config)
    }

    fn apply_overrides(&mut self) {
        let section = self.file.section_mut(&self.section);
        for (key, value) in &self.overrides {
            section.set(&key.trim().to_lowercase(), value.trim().to_owned(), 0);
        }
    }

    fn read_format(&self) -> Result<Format> {
        match self.raw("config_format").map_or("1", |e| e.value.trim()) {
            "1" => Ok(Format::Percent),
            "2" => Ok(Format::Dollar),
            other => Err(self
                .key_error("config_format", format_args!("unknown format \"{other}\""))
                .hint("Use 1 for %(key)s or 2 for ${key}.")),
        }
    }

    fn inject_defaults(&mut self) {
        let mut defaults = std::mem::take(&mut self.script_defaults);
        let format = self.format;
        let stem = self.path.as_deref().and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
        let mut injected: Vec<(&str, String)> = vec![
            ("job_name", stem.unwrap_or_else(|| self.section.clone())),
            ("service_name", self.section.clone()),
            ("host_name", host_name()),
        ];
        if let Some(path) = &self.path {
            let dir = path.parent().map(|p| p.display().to_string()).unwrap_or_default();
            injected.push(("config_dir", dir));
            injected.push(("config_file", path.display().to_string()));
        }
        for (key, value) in &defaults {
            if self.raw(key).is_none() {
                self.file.section_mut(&self.section).set(key, value.clone(), 0);
            }
        }
        for (key, value) in injected {
            if self.raw(key).is_none() {
                self.file.section_mut(&self.section).set(key, format.escape(&value), 0);
            }
        }
        std::mem::swap(&mut self.script_defaults, &mut defaults);
    }

    /// Reads the file again. Overrides and injected defaults stay in force; keys deleted from the file are gone.
    ///
    /// # Errors
    /// As [`load`](Self::load); the configuration in use is then left unchanged.
    pub fn reload(&mut self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let file = read_file(path)?;
        *self = Self::build(
            self.path.clone(),
            self.name.clone(),
            file,
            self.candidates.clone(),
            self.overrides.clone(),
            self.script_defaults.clone(),
        )?;
        Ok(())
    }

    /// The same file seen from another section, without `--set` overrides and defaults of the program.
    ///
    /// # Errors
    /// When the file has no such section or cannot be read any more.
    pub fn clone_section(&self, section: &str) -> Result<Self> {
        let file = match &self.path {
            Some(path) => read_file(path)?,
            None => self.file.clone(),
        };
        Self::build(
            self.path.clone(),
            self.name.clone(),
            file,
            vec![section.to_owned()],
            Vec::new(),
            Vec::new(),
        )
    }

    /// The name of the main section.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The path the configuration was loaded from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The job name: names the log lines and is the default consumer name. The base name of the file unless set.
    pub fn job_name(&self) -> String {
        match self.get_opt("job_name") {
            Ok(Some(name)) => name,
            _ => self.section.clone(),
        }
    }

    /// All section names in file order, without `[DEFAULT]`.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.file.names().iter().map(String::as_str).filter(|&s| s != DEFAULT_SECTION)
    }

    /// Whether the file has the section.
    pub fn has_section(&self, section: &str) -> bool {
        section != DEFAULT_SECTION && self.file.section(section).is_some()
    }

    /// Whether the key has a value here, in `[DEFAULT]` or as injected default; the value may be empty.
    pub fn has_option(&self, key: &str) -> bool {
        self.raw(&key.to_lowercase()).is_some()
    }

    /// Keys visible from the main section: its own in file order, then those of `[DEFAULT]`.
    pub fn options(&self) -> Vec<&str> {
        let own = self.file.section(&self.section).map(|s| s.keys()).unwrap_or_default();
        let fallback = self.file.section(DEFAULT_SECTION).map(|s| s.keys()).unwrap_or_default();
        let mut keys: Vec<&str> = own.iter().map(String::as_str).collect();
        let hidden: std::collections::HashSet<&str> = keys.iter().copied().collect();
        keys.extend(fallback.iter().map(String::as_str).filter(|key| !hidden.contains(key)));
        keys
    }

    /// All keys visible from the main section with their expanded values.
    ///
    /// # Errors
    /// Bad interpolation of any of them.
    pub fn items(&self) -> Result<Vec<(String, String)>> {
        self.options().into_iter().map(|key| Ok((key.to_owned(), self.get(key)?))).collect()
    }

    fn raw_in<'a>(&'a self, section: &str, key: &str) -> Option<&'a Entry> {
        let own = self.file.section(section).and_then(|s| s.get(key));
        own.or_else(|| self.file.section(DEFAULT_SECTION).and_then(|s| s.get(key)))
    }

    fn raw(&self, key: &str) -> Option<&Entry> {
        self.raw_in(&self.section, key)
    }

    /// The expanded value of a key; `None` when no section has it.
    fn expanded(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_lowercase();
        let Some(entry) = self.raw(&key) else { return Ok(None) };
        let look_up = |section: &str, key: &str| self.raw_in(section, key).map(|e| e.value.as_str());
        interpolate::expand(self.format, &self.section, &entry.value, &look_up)
            .map(Some)
            .map_err(|what| self.key_error(&key, format_args!("cannot expand the value: {what}")))
    }

    /// An error about a key of this configuration: names file, line, section and key.
    ///
    /// Programs use it to complain about values that only they can judge.
    pub fn key_error(&self, key: &str, what: impl std::fmt::Display) -> Error {
        let place = match self.raw(&key.to_lowercase()) {
            Some(entry) if entry.line > 0 => format!("{}:{}", self.name, entry.line),
            Some(_) if self.overrides.iter().any(|(k, _)| k.trim().eq_ignore_ascii_case(key)) => {
                format!("{} (from --set)", self.name)
            }
            _ => self.name.clone(),
        };
        Error::config(format!("{place}: [{}] {key}: {what}", self.section))
    }
}

fn read_file(path: &Path) -> Result<IniFile> {
    let bytes = std::fs::read(path).map_err(|e| {
        Error::config(format!("cannot read configuration file {}", path.display()))
            .with_source(e)
            .hint("Give the path of an existing INI file; --ini prints a sample.")
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count();
        Error::config(format!("{}:{line}: the file is not UTF-8", path.display()))
            .hint("Convert it, for example with iconv -t utf-8.")
    })?;
    IniFile::parse(&path.display().to_string(), &text)
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
