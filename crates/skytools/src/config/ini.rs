//! The INI text: sections, keys, comments, continuation lines. No interpolation happens here.
//!
//! The grammar is the union of what Python 2's and Python 3's parsers accept, because files of both generations
//! of `SkyTools` are in use:
//!
//! - `key = value` or `key: value`; keys are lower-cased, section names are not; `[DEFAULT]` is an ordinary
//!   section here and a fallback in [`super::Config`];
//! - a line indented deeper than its key continues the value (joined by a newline); blank lines inside a value
//!   are kept, trailing ones dropped;
//! - `#` or `;` as the first visible character makes a comment, also inside a value; `rem …` in column one too;
//! - `""` alone is the empty value (Python 2's way to write it);
//! - a repeated key or section is not an error: the last value wins, sections are merged.

use std::collections::HashMap;

use crate::{Error, Result};

/// A value with the line it was read from (1 is the first line; 0 means that it did not come from the file).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The raw value, before interpolation.
    pub value: String,
    /// Line number in the file.
    pub line: usize,
}

/// One section: keys in file order.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    order: Vec<String>,
    entries: HashMap<String, Entry>,
}

impl Section {
    /// The raw entry of a (lower-case) key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Sets a key; the last value wins and the first position is kept.
    pub fn set(&mut self, key: &str, value: String, line: usize) {
        if self.entries.insert(key.to_owned(), Entry { value, line }).is_none() {
            self.order.push(key.to_owned());
        }
    }

    /// Keys in file order.
    pub fn keys(&self) -> &[String] {
        &self.order
    }
}

/// A parsed file.
#[derive(Debug, Clone, Default)]
pub(super) struct IniFile {
    order: Vec<String>,
    sections: HashMap<String, Section>,
}

impl IniFile {
    /// Parses the text; `name` is the file name for error messages.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut parser = Parser { name, file: IniFile::default(), section: None, open: None };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            parser.line(index + 1, line)?;
        }
        parser.close_value();
        Ok(parser.file)
    }

    /// A section by its exact name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    /// A section to write to, made when missing.
    pub fn section_mut(&mut self, name: &str) -> &mut Section {
        if !self.sections.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.sections.entry(name.to_owned()).or_default()
    }

    /// Section names in file order.
    pub fn names(&self) -> &[String] {
        &self.order
    }
}

/// A value whose continuation lines may still follow.
struct OpenValue {
    key: String,
    indent: usize,
    line: usize,
    lines: Vec<String>,
}

struct Parser<'a> {
    name: &'a str,
    file: IniFile,
    section: Option<String>,
    open: Option<OpenValue>,
}

impl Parser<'_> {
    fn line(&mut self, number: usize, raw: &str) -> Result<()> {
        let raw = raw.trim_end();
        let text = raw.trim_start();
        if text.is_empty() {
            if let Some(open) = &mut self.open {
                open.lines.push(String::new());
            }
            return Ok(());
        }
        if text.starts_with(['#', ';']) || is_rem(raw) {
            return Ok(());
        }
        let indent = raw.len() - text.len();
        if let Some(open) = &mut self.open
            && indent > open.indent
        {
            open.lines.push(text.to_owned());
            return Ok(());
        }
        self.close_value();
        if let Some(rest) = text.strip_prefix('[') {
            let Some((section, _)) = rest.split_once(']').filter(|(s, _)| !s.is_empty()) else {
                return Err(
                    self.error(number, format!("section header without name or closing bracket: {text}"))
                );
            };
            self.file.section_mut(section);
            self.section = Some(section.to_owned());
            return Ok(());
        }
        if self.section.is_none() {
            return Err(self
                .error(number, "this line stands before the first section header")
                .hint("Start the file with the section of the program, for example [londiste3]."));
        }
        let split = text.find(['=', ':']).map(|at| (text[..at].trim_end(), text[at + 1..].trim_start()));
        let Some((key, value)) = split.filter(|(key, _)| !key.is_empty()) else {
            return Err(self
                .error(number, "neither a section, a comment nor \"key = value\"")
                .hint("Write key = value; to continue the value above, indent the line."));
        };
        self.open =
            Some(OpenValue { key: key.to_lowercase(), indent, line: number, lines: vec![value.to_owned()] });
        Ok(())
    }

    fn close_value(&mut self) {
        let (Some(open), Some(section)) = (self.open.take(), self.section.as_deref()) else { return };
        let joined = open.lines.join("\n");
        let value = joined.trim_end();
        let value = if value == "\"\"" { "" } else { value };
        self.file.section_mut(section).set(&open.key, value.to_owned(), open.line);
    }

    fn error(&self, line: usize, what: impl std::fmt::Display) -> Error {
        Error::config(format!("{}:{line}: {what}", self.name))
    }
}

/// `rem some words` in column one is a comment of Python 2's parser; `rem = x` is a key.
fn is_rem(raw: &str) -> bool {
    let Some(head) = raw.get(..3) else { return false };
    let rest = &raw[3..];
    head.eq_ignore_ascii_case("rem")
        && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        && !rest.trim_start().starts_with(['=', ':'])
}
