//! Row changes as the capture triggers write them: `logutriga`, `sqltriga` and `jsontriga`.
//!
//! | format | `ev_type` | `ev_data` |
//! |---|---|---|
//! | [`Format::Urlenc`] | `I:id`, `U:a,b`, `D:id` | `id=1&txt=some+text&val` (a bare name is NULL): the full row |
//! | [`Format::Sql`] | `I`, `U`, `D` | `(id,txt) values ('1',null)` · `txt='x' where id='1'` · `id='1'` |
//! | [`Format::Json`] | `{"op":"INSERT","table":["public","t"],"pkey":["id"]}` | `{"id":1,"txt":null}`: the full row |
//!
//! A truncate is `R` without data, or the JSON form with op `TRUNCATE`. `ev_extra1` names the table.
//! Values are the text that the column's output function wrote.
//!
//! ```
//! use pgq::change::{self, Op};
//! use pgq::{Event, NewEvent};
//!
//! let new = NewEvent::new("U:id", "id=7&name=J%c3%b6rg&note").extra1("public.people");
//! let event = Event::synthetic(1, 1, &new);
//! let change = change::decode(&event)?.expect("a row change");
//! assert_eq!((change.op, change.table.as_ref()), (Op::Update, "public.people"));
//! assert_eq!(change.get("name"), Some(Some("Jörg")));
//! assert_eq!(change.get("note"), Some(None));
//! assert_eq!(change.key[0].1.as_deref(), Some("7"));
//! # Ok::<(), skytools::Error>(())
//! ```

mod json;
mod sqltriga;

use std::borrow::Cow;

use skytools::{Error, Result};

use crate::Event;

/// A column's name and its text, `None` for NULL. Borrowed from the event wherever nothing was escaped.
pub type Column<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// A row was inserted.
    Insert,
    /// A row was updated; its key did not change.
    Update,
    /// A row was deleted.
    Delete,
    /// The table was truncated.
    Truncate,
}

/// How the trigger wrote the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `logutriga`.
    Urlenc,
    /// `sqltriga`.
    Sql,
    /// `jsontriga`.
    Json,
}

/// One captured change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange<'a> {
    /// What happened.
    pub op: Op,
    /// How it was written.
    pub format: Format,
    /// `ev_extra1`: `schema.table`, unquoted, as the publisher names it.
    pub table: Cow<'a, str>,
    /// Names of the key columns as the event gives them, in the event's order. `sqltriga` names none on insert.
    pub key_names: Vec<Cow<'a, str>>,
    /// Key columns with their values. Complete for updates and deletes; on insert, those that are in the data.
    pub key: Vec<Column<'a>>,
    /// The row: new values for insert and update, old ones for delete. [`Format::Sql`] has only the changed
    /// columns on update and only the key on delete.
    pub columns: Vec<Column<'a>>,
}

impl RowChange<'_> {
    /// The value of a column: `None` when the event does not have it, `Some(None)` for NULL.
    pub fn get(&self, column: &str) -> Option<Option<&str>> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_deref())
    }
}

/// Whether the type of an event is one that a capture trigger writes.
pub fn is_row_change(event: &Event) -> bool {
    event.ev_type().is_some_and(|ev_type| kind(ev_type).is_some())
}

fn kind(ev_type: &str) -> Option<(Format, Option<Op>, &str)> {
    Some(match ev_type {
        "R" => (Format::Urlenc, Some(Op::Truncate), ""),
        "I" => (Format::Sql, Some(Op::Insert), ""),
        "U" => (Format::Sql, Some(Op::Update), ""),
        "D" => (Format::Sql, Some(Op::Delete), ""),
        other if other.starts_with("{\"") => (Format::Json, None, other),
        other => match other.split_at_checked(2)? {
            ("I:", key) => (Format::Urlenc, Some(Op::Insert), key),
            ("U:", key) => (Format::Urlenc, Some(Op::Update), key),
            ("D:", key) => (Format::Urlenc, Some(Op::Delete), key),
            _ => return None,
        },
    })
}

/// Decodes a row change; `None` when the event is none (by its type).
///
/// # Errors
/// [`ErrorKind::Data`](skytools::ErrorKind::Data), naming the event, when the type says row change and the
/// contents are not: no table, no key on update or delete, a key column without value in the data, bad encoding.
pub fn decode(event: &Event) -> Result<Option<RowChange<'_>>> {
    let Some((format, op, rest)) = event.ev_type().and_then(kind) else { return Ok(None) };
    decode_kind(event, format, op, rest).map(Some).map_err(|e| {
        let table = event.extra1().unwrap_or("(no table)");
        Error::data(format!("event {} on {table} cannot be decoded", event.id())).with_source(e)
    })
}

fn decode_kind<'a>(event: &'a Event, format: Format, op: Option<Op>, rest: &'a str) -> Result<RowChange<'a>> {
    let (op, key_names, own_table) = match op {
        Some(op) if rest.is_empty() => (op, Vec::new(), None),
        Some(op) => (op, rest.split(',').map(Cow::Borrowed).collect(), None),
        None => {
            let header = json::header(rest)?;
            (header.op, header.pkey, header.table)
        }
    };
    let table = match (event.extra1(), own_table) {
        (Some(name), _) => Cow::Borrowed(name),
        (None, Some(name)) => Cow::Owned(name),
        (None, None) => return Err(Error::data("ev_extra1 does not name a table")),
    };
    let mut change = RowChange { op, format, table, key_names, key: Vec::new(), columns: Vec::new() };
    if op == Op::Truncate {
        return Ok(change);
    }
    let data = event.data().ok_or_else(|| Error::data("ev_data is NULL"))?;
    match format {
        Format::Urlenc => change.columns = skytools::urlenc::decode_row(data)?,
        Format::Json => change.columns = json::row(data)?,
        Format::Sql => return sqltriga::decode(change, data),
    }
    if change.key_names.is_empty() && op != Op::Insert {
        return Err(Error::data("the event names no key columns")
            .hint("give the table a primary key, or the trigger pkey="));
    }
    for name in &change.key_names {
        match change.columns.iter().find(|(column, _)| column == name) {
            Some(column) => change.key.push(column.clone()),
            None if op == Op::Insert => {}
            None => return Err(Error::data(format!("key column \"{name}\" is not in the data"))),
        }
    }
    Ok(change)
}

/// Decodes the row that a trigger with `backup` puts into `ev_extra2` on update: the row before. `None` when
/// there is none.
///
/// # Errors
/// [`ErrorKind::Data`](skytools::ErrorKind::Data), naming the event.
pub fn decode_backup(event: &Event) -> Result<Option<Vec<Column<'_>>>> {
    let Some(text) = event.extra2() else { return Ok(None) };
    let Some((format, ..)) = event.ev_type().and_then(kind) else { return Ok(None) };
    let row = match format {
        Format::Json => json::row(text),
        // The C sqltriga writes its backup in the encoding of logutriga, too.
        Format::Urlenc | Format::Sql => skytools::urlenc::decode_row(text),
    };
    row.map(Some).map_err(|e| {
        Error::data(format!("event {}: the backup row cannot be decoded", event.id())).with_source(e)
    })
}

#[cfg(test)]
mod tests;
