//! A replicated table as the local node knows it: one row of `londiste.get_table_list`.
//!
//! The row is the only truth about how far the initial copy of a table has come. Worker and copy read it again
//! before they act and write it in small committed steps; see `sync` for the states.

use std::fmt;
use std::str::FromStr;

use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use crate::snapshot::Snapshot;

const GET_TABLE_LIST: &str = "select table_name, local, merge_state, custom_snapshot, table_attrs, dropped_ddl, \
     copy_role, copy_pos, dest_table from londiste.get_table_list($1)";

/// How far a table has come, as stored in `londiste.table_info.merge_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MergeState {
    /// NULL: registered here, the copy has not begun.
    Missing,
    /// `in-copy`: rows are being loaded.
    InCopy,
    /// `catching-up`: rows are loaded, the copy applies what was written since.
    CatchingUp,
    /// `wanna-sync:T`: the copy has applied everything before tick T and waits for the worker to name a tick.
    WannaSync(i64),
    /// `do-sync:T`: the worker stands at tick T; the copy applies what is before T and then lets go.
    DoSync(i64),
    /// `ok`: the worker applies the table's events.
    Ok,
}

impl MergeState {
    /// Parses the stored form; NULL is [`MergeState::Missing`], the legacy `?` is [`MergeState::Ok`].
    ///
    /// # Errors
    /// [`ErrorKind::Data`](skytools::ErrorKind::Data) for anything else.
    pub fn parse(stored: Option<&str>) -> Result<Self> {
        let Some(text) = stored else { return Ok(MergeState::Missing) };
        let tick = |digits: &str| {
            digits.parse::<i64>().map_err(|e| {
                Error::data(format!("merge state \"{text}\" does not end in a tick id")).with_source(e)
            })
        };
        match text.split_once(':') {
            None => match text {
                "in-copy" => Ok(MergeState::InCopy),
                "catching-up" => Ok(MergeState::CatchingUp),
                "ok" | "?" => Ok(MergeState::Ok),
                _ => Err(unknown_state(text)),
            },
            Some(("wanna-sync", digits)) => Ok(MergeState::WannaSync(tick(digits)?)),
            Some(("do-sync", digits)) => Ok(MergeState::DoSync(tick(digits)?)),
            Some(_) => Err(unknown_state(text)),
        }
    }

    /// The stored form; `None` is SQL NULL.
    pub fn to_stored(self) -> Option<String> {
        (self != MergeState::Missing).then(|| self.to_string())
    }

    /// Whether a copy of the table is under way.
    pub fn is_copying(self) -> bool {
        !matches!(self, MergeState::Missing | MergeState::Ok)
    }
}

fn unknown_state(text: &str) -> Error {
    Error::data(format!("unknown merge state \"{text}\""))
        .hint("run \"londiste INI resync TABLE\" to copy the table again")
}

impl fmt::Display for MergeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MergeState::Missing => f.write_str("none"),
            MergeState::InCopy => f.write_str("in-copy"),
            MergeState::CatchingUp => f.write_str("catching-up"),
            MergeState::WannaSync(tick) => write!(f, "wanna-sync:{tick}"),
            MergeState::DoSync(tick) => write!(f, "do-sync:{tick}"),
            MergeState::Ok => f.write_str("ok"),
        }
    }
}

/// The part of one queue in a merge of several queues into one table (`copy_role` of the server).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyRole {
    /// The part that drops and rebuilds indexes for all.
    Lead,
    /// Must not load yet.
    WaitCopy,
    /// Loads, then waits until the indexes are back.
    WaitReplay,
}

impl FromStr for CopyRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "lead" => Ok(CopyRole::Lead),
            "wait-copy" => Ok(CopyRole::WaitCopy),
            "wait-replay" => Ok(CopyRole::WaitReplay),
            other => Err(Error::data(format!("unknown copy role \"{other}\" from londiste.get_table_list"))),
        }
    }
}

const COLUMNS_DIFFER: &str = "columns_differ";

/// Key of the mark of when the table was added: [`crate::command::mark`].
pub(crate) const ADDED_AT: &str = "added_at";

/// A name without commas.
fn comma_quoted(name: &str) -> String {
    name.replace('%', "%25").replace(',', "%2c")
}

/// Attributes of a table: an ordered, urlencoded dictionary in `table_attrs`. Unknown keys are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableAttrs(Vec<(String, Option<String>)>);

impl TableAttrs {
    /// Parses the stored form; NULL and the empty string are no attributes.
    ///
    /// # Errors
    /// [`ErrorKind::Data`](skytools::ErrorKind::Data) for broken url coding.
    pub fn parse(stored: Option<&str>) -> Result<Self> {
        let Some(text) = stored.filter(|t| !t.is_empty()) else { return Ok(TableAttrs::default()) };
        let mut attrs = TableAttrs::default();
        for element in text.split('&').filter(|e| !e.is_empty()) {
            let (key, value) = match element.split_once('=') {
                Some((key, value)) => (key, Some(unquote(value, text)?)),
                None => (element, None),
            };
            attrs.put(unquote(key, text)?, value);
        }
        Ok(attrs)
    }

    /// The value of a key; `None` when it is absent or NULL.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.as_deref())
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: &str) {
        self.put(key.to_owned(), Some(value.to_owned()));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(k, _)| k != key);
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs in stored order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_deref()))
    }

    /// The handler as stored (`name` or `name(args)`); the legacy key `handlers` is understood.
    pub fn handler(&self) -> Option<&str> {
        self.get("handler").or_else(|| self.get("handlers")).filter(|h| !h.is_empty())
    }

    /// Node to copy from: a name, or `?` to search upstream.
    pub fn copy_node(&self) -> Option<&str> {
        self.get("copy_node").filter(|n| !n.is_empty())
    }

    /// Whether the table was added with --force although the provider has this column and the node lacks it: copies leave it out.
    /// Older versions stored only that there are such columns.
    pub fn does_without(&self, column: &str) -> bool {
        let stored = self.get(COLUMNS_DIFFER).unwrap_or_default();
        match stored.strip_prefix(',') {
            Some(names) => names.split(',').any(|name| name == comma_quoted(column)),
            None => !matches!(stored, "" | "0"),
        }
    }

    /// Stores which columns of the provider need not be here.
    pub fn set_columns_differ(&mut self, columns: &[String]) {
        // The comma in front tells a list from the mark of older versions.
        let names: String = columns.iter().map(|name| format!(",{}", comma_quoted(name))).collect();
        self.set(COLUMNS_DIFFER, &names);
    }

    /// Whether the copy must leave the rows that are already there.
    pub fn skip_truncate(&self) -> bool {
        self.get("skip_truncate").is_some_and(|v| !matches!(v, "" | "0"))
    }

    /// How many parts of a merged table may be loaded at once (8 unless set).
    pub fn max_parallel_copy(&self) -> i32 {
        self.get("max_parallel_copy").and_then(|v| v.parse().ok()).unwrap_or(8)
    }

    /// The stored form; `None` (SQL NULL) when there are no attributes.
    pub fn to_stored(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.to_string())
    }

    fn put(&mut self, key: String, value: Option<String>) {
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(pair) => pair.1 = value,
            None => self.0.push((key, value)),
        }
    }
}

impl fmt::Display for TableAttrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("&")?;
            }
            quote(key, f)?;
            if let Some(value) = value {
                f.write_str("=")?;
                quote(value, f)?;
            }
        }
        Ok(())
    }
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for &byte in text.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                write!(f, "{}", char::from(byte))?
            }
            b' ' => f.write_str("+")?,
            other => write!(f, "%{other:02x}")?,
        }
    }
    Ok(())
}

fn unquote(text: &str, whole: &str) -> Result<String> {
    let bad = || Error::data(format!("table attributes \"{whole}\" are not urlencoded"));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(bad());
                };
                out.push(u8::try_from(high * 16 + low).map_err(|e| bad().with_source(e))?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|e| bad().with_source(e))
}

/// One registered table of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Name in the queue (`schema.table`, raw, split at the first dot).
    pub table_name: String,
    /// Whether this node replicates the table.
    pub local: bool,
    /// How far its copy has come; meaningful for local tables only.
    pub merge_state: MergeState,
    /// Snapshot that the rows were copied with, while it is still needed.
    pub custom_snapshot: Option<Snapshot>,
    /// Attributes.
    pub attrs: TableAttrs,
    /// DDL that gives back the indexes which a copy of several parts has dropped.
    pub dropped_ddl: Option<String>,
    /// Role in a merge of several queues.
    pub copy_role: Option<CopyRole>,
    /// Number of other parts of the merge that load before this one.
    pub copy_pos: i32,
    /// Name of the physical table, where it differs from `table_name`.
    pub dest_table: Option<String>,
}

/// A registered table whose row cannot be understood.
#[derive(Debug)]
pub struct BadRow {
    /// Name in the queue.
    pub table_name: String,
    /// Whether this node replicates the table.
    pub local: bool,
    /// The state as stored.
    pub merge_state: Option<String>,
    /// What is wrong.
    pub problem: Error,
}

impl TableRow {
    /// All tables of the queue, in the order of registration.
    ///
    /// # Errors
    /// Whatever the server reports; [`ErrorKind::Data`](skytools::ErrorKind::Data) for a row that cannot be understood,
    /// naming the table.
    pub async fn load_all<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Vec<TableRow>> {
        Self::load_each(client, queue).await?.into_iter().map(|row| row.map_err(|bad| bad.problem)).collect()
    }

    /// As [`TableRow::load_all`], for listings: a row that cannot be understood hides no other.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load_each<C: GenericClient + Sync>(
        client: &C,
        queue: &str,
    ) -> Result<Vec<std::result::Result<TableRow, BadRow>>> {
        let rows = client.query_typed(GET_TABLE_LIST, &[(&queue, Type::TEXT)]).await?;
        let read = |row: &Row| {
            let table_name: String = row.try_get(0)?;
            let (local, merge_state) = (row.try_get(1)?, row.try_get(2)?);
            Ok(Self::read(row, &table_name).map_err(|e| BadRow {
                problem: e.context(format!("table {table_name} of queue \"{queue}\"")),
                table_name,
                local,
                merge_state,
            }))
        };
        rows.iter().map(read).collect()
    }

    fn read(row: &Row, table_name: &str) -> Result<TableRow> {
        let snapshot: Option<&str> = row.try_get(3)?;
        let role: Option<&str> = row.try_get(6)?;
        Ok(TableRow {
            table_name: table_name.to_owned(),
            local: row.try_get(1)?,
            merge_state: MergeState::parse(row.try_get(2)?)?,
            custom_snapshot: snapshot.map(str::parse).transpose()?,
            attrs: TableAttrs::parse(row.try_get(4)?)?,
            dropped_ddl: row.try_get(5)?,
            copy_role: role.map(str::parse).transpose()?,
            copy_pos: row.try_get::<_, Option<i32>>(7)?.unwrap_or(0),
            dest_table: row.try_get(8)?,
        })
    }

    /// Name of the physical table (`schema.table`, raw).
    pub fn dest(&self) -> &str {
        self.dest_table.as_deref().unwrap_or(&self.table_name)
    }

    /// Whether the worker applies this table's events.
    pub fn is_replayed(&self) -> bool {
        self.local && self.merge_state == MergeState::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip_through_the_stored_form() {
        use MergeState::{CatchingUp, DoSync, InCopy, Missing, Ok, WannaSync};
        for state in [Missing, InCopy, CatchingUp, WannaSync(0), WannaSync(77), DoSync(i64::MAX), Ok] {
            assert_eq!(MergeState::parse(state.to_stored().as_deref()).unwrap(), state);
        }
        assert_eq!(MergeState::parse(Some("?")).unwrap(), Ok);
        assert_eq!(MergeState::WannaSync(7).to_stored().as_deref(), Some("wanna-sync:7"));
    }

    #[test]
    fn unknown_states_are_errors() {
        for text in ["", "OK", "wanna-sync", "wanna-sync:", "do-sync:x", "in-copy:3", "other:1"] {
            assert!(MergeState::parse(Some(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn attributes_keep_order_null_and_unknown_keys() {
        let stored = "handler=londiste%28ignore_truncate%3d1%29&x&skip_truncate=1&copy_node=%3f";
        let mut attrs = TableAttrs::parse(Some(stored)).unwrap();
        assert_eq!(attrs.to_string(), stored);
        assert_eq!(attrs.handler(), Some("londiste(ignore_truncate=1)"));
        assert_eq!(attrs.copy_node(), Some("?"));
        assert!(attrs.skip_truncate());
        assert_eq!(attrs.max_parallel_copy(), 8);
        attrs.set("max_parallel_copy", "2");
        attrs.remove("x");
        assert_eq!(attrs.max_parallel_copy(), 2);
        assert!(!attrs.to_string().contains("&x"));
        assert_eq!(TableAttrs::parse(None).unwrap().to_stored(), None);
    }

    #[test]
    fn columns_that_need_not_be_here_are_stored_by_name() {
        let mut attrs = TableAttrs::default();
        assert!(!attrs.does_without("a"));
        attrs.set_columns_differ(&["1".to_owned(), "a,b%2c".to_owned()]);
        let attrs = TableAttrs::parse(attrs.to_stored().as_deref()).unwrap();
        assert!(attrs.does_without("1") && attrs.does_without("a,b%2c"));
        assert!(!attrs.does_without("a") && !attrs.does_without("a,b,"));
        assert!(TableAttrs::parse(Some("columns_differ=1")).unwrap().does_without("any"));
    }

    #[test]
    fn broken_attributes_are_errors() {
        for text in ["a=%", "a=%4", "a=%zz", "%ff=1"] {
            assert!(TableAttrs::parse(Some(text)).is_err(), "{text:?}");
        }
    }
}
