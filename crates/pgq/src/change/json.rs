//! The format of `jsontriga`. Numbers keep their text: no value passes through a float.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use skytools::{Error, Result};

use super::{Column, Op};

/// What the JSON in `ev_type` says.
pub struct Header<'a> {
    pub op: Op,
    pub pkey: Vec<Cow<'a, str>>,
    pub table: Option<String>,
}

#[derive(Deserialize)]
struct RawHeader<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(default)]
    table: Vec<String>,
    #[serde(default, borrow)]
    pkey: Vec<Text<'a>>,
}

/// Reads `{"op":"INSERT","table":["public","t"],"pkey":["id"]}`.
pub fn header(text: &str) -> Result<Header<'_>> {
    let raw: RawHeader<'_> = serde_json::from_str(text)
        .map_err(|e| Error::data("ev_type is not the JSON of a row change").with_source(e))?;
    let op = match raw.op.as_ref() {
        "INSERT" => Op::Insert,
        "UPDATE" => Op::Update,
        "DELETE" => Op::Delete,
        "TRUNCATE" => Op::Truncate,
        other => return Err(Error::data(format!("unknown operation \"{other}\" in ev_type"))),
    };
    let table = (!raw.table.is_empty()).then(|| raw.table.join("."));
    Ok(Header { op, pkey: raw.pkey.into_iter().map(|t| t.0).collect(), table })
}

/// Reads the object in `ev_data`, its members in order.
pub fn row(text: &str) -> Result<Vec<Column<'_>>> {
    let row: Row<'_> =
        serde_json::from_str(text).map_err(|e| Error::data("ev_data is not a JSON object").with_source(e))?;
    Ok(row.0)
}

/// A string, borrowed unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

struct Row<'a>(Vec<Column<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowVisitor;
        impl<'de> Visitor<'de> for RowVisitor {
            type Value = Row<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one member per column")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut columns = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    columns.push((name.0, column_text(value.get()).map_err(de::Error::custom)?));
                }
                Ok(Row(columns))
            }
        }
        deserializer.deserialize_map(RowVisitor)
    }
}

/// The column's text: strings unescaped, booleans as the server writes them, numbers and anything nested as is.
fn column_text(raw: &str) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    Ok(match raw {
        "null" => None,
        "true" => Some(Cow::Borrowed("t")),
        "false" => Some(Cow::Borrowed("f")),
        _ if raw.starts_with('"') => Some(serde_json::from_str::<Text<'_>>(raw)?.0),
        _ => Some(Cow::Borrowed(raw)),
    })
}
