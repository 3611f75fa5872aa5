//! The header of a script: on which nodes it has to run, and which names in it are local ones.
//!
//! ```sql
//! --*-- Local-Table: orders,
//! --*--     public.lines
//! --*-- Need-Function: pg_catalog.lower(1)
//! alter table @orders@ add column note text;
//! ```
//!
//! Only lines that begin with `--*--`, before the first line that is neither empty nor a comment. In an event the
//! header is an urlencoded row: lower-case keys, values joined with commas.

use skytools::{Error, Result, urlenc};

/// What a value of the header demands of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    LocalTable,
    LocalSequence,
    LocalDestination,
    NeedTable,
    NeedSequence,
    NeedFunction,
    NeedSchema,
    NeedView,
}

/// All keys, as scripts write them.
const KEYS: [(&str, Key); 8] = [
    ("Local-Table", Key::LocalTable),
    ("Local-Sequence", Key::LocalSequence),
    ("Local-Destination", Key::LocalDestination),
    ("Need-Table", Key::NeedTable),
    ("Need-Sequence", Key::NeedSequence),
    ("Need-Function", Key::NeedFunction),
    ("Need-Schema", Key::NeedSchema),
    ("Need-View", Key::NeedView),
];

impl Key {
    fn parse(text: &str) -> Result<Key> {
        let found = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        found.map(|(_, key)| *key).ok_or_else(|| {
            let known: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
            Error::data(format!("Invalid key in the script's header: {text}"))
                .hint(format!("known keys: {}", known.join(", ")))
        })
    }

    pub(super) fn name(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(name, _)| name)
    }
}

/// One value of the header, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) value: String,
}

impl Entry {
    /// The value with its schema; `public` unless it names one.
    pub(super) fn full_name(&self) -> String {
        if self.value.contains('.') { self.value.clone() } else { format!("public.{}", self.value) }
    }
}

/// The header of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    entries: Vec<Entry>,
}

impl Header {
    /// Reads the header of a script.
    ///
    /// # Errors
    /// A key that does not exist.
    pub fn of_script(sql: &str) -> Result<Header> {
        let mut header = Header::default();
        let mut continued: Option<Key> = None;
        for line in sql.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if !line.starts_with("--") {
                break;
            }
            let Some(text) = line.strip_prefix("--*--").map(str::trim).filter(|text| !text.is_empty()) else {
                continue;
            };
            let (key, values) = match continued {
                Some(key) => (key, text),
                None => match text.split_once(':') {
                    Some((key, values)) => (Key::parse(key)?, values),
                    None => continue,
                },
            };
            header.add(key, values);
            continued = text.ends_with(',').then_some(key);
        }
        Ok(header)
    }

    /// Reads the form that events carry; NULL and the empty string are no header.
    ///
    /// # Errors
    /// Broken coding, or a key that does not exist.
    pub fn of_event(attrs: Option<&str>) -> Result<Header> {
        let mut header = Header::default();
        for (key, values) in urlenc::decode_row(attrs.unwrap_or_default())? {
            header.add(Key::parse(&key)?, values.as_deref().unwrap_or_default());
        }
        Ok(header)
    }

    fn add(&mut self, key: Key, values: &str) {
        let values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
        self.entries.extend(values.map(|value| Entry { key, value: value.to_owned() }));
    }

    /// The form that events carry; empty when there is no header.
    pub fn to_event(&self) -> String {
        let mut rows: Vec<(Key, Vec<&str>)> = Vec::new();
        for entry in &self.entries {
            match rows.iter_mut().find(|(key, _)| *key == entry.key) {
                Some((_, values)) => values.push(&entry.value),
                None => rows.push((entry.key, vec![&entry.value])),
            }
        }
        let rows = rows.iter().map(|(key, values)| (key.name().to_lowercase(), Some(values.join(","))));
        urlenc::encode_row(rows)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_the_original_reads_it() {
        let script = "\n --\n--*-- Local-Table: foo ,\n--\n--*-- bar ,\n--*--\n--*-- zoo\n--*-- no key here\n\
            --*-- local-sequence: goo\n-- comment\ncreate fooza;\n--*-- Need-Table: too.late\n";
        let header = Header::of_script(script).unwrap();
        assert_eq!(header.to_event(), "local-table=foo%2cbar%2czoo&local-sequence=goo");
        assert_eq!(Header::of_event(Some(&header.to_event())).unwrap(), header);
        assert_eq!(header.entries()[0].full_name(), "public.foo");
    }

    #[test]
    fn no_header_is_an_empty_text() {
        assert_eq!(Header::of_script("select 1").unwrap().to_event(), "");
        assert_eq!(Header::of_event(None).unwrap(), Header::default());
        assert_eq!(Header::of_event(Some("")).unwrap(), Header::default());
    }

    #[test]
    fn unknown_keys_are_named() {
        for error in
            [Header::of_script("--*-- Foo: x").unwrap_err(), Header::of_event(Some("foo=1")).unwrap_err()]
        {
            assert!(error.to_string().to_lowercase().contains("invalid key in the script's header: foo"));
            assert!(error.hint_text().is_some_and(|hint| hint.contains("Need-View")));
        }
    }
}
