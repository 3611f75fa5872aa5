//! Listings: the original's table printer, and the same rows as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use skytools::Result;
use skytools::program::print;

/// A cell: what people and scripts of the original read, and its JSON value.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    text: String,
    json: Value,
}

impl Cell {
    /// A cell whose text differs from its JSON value.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Cell { text: text.into(), json }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::new(text, Value::from(text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell { json: Value::from(text.as_str()), text }
    }
}

/// NULL is written `None`, as scripts of the original expect.
impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or_else(|| Cell::new("None", Value::Null), Cell::from)
    }
}

/// Written `True` and `False`, as scripts of the original expect.
impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::new(if value { "True" } else { "False" }, Value::from(value))
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::new(value.to_string(), Value::from(value))
    }
}

/// Rows under a title.
#[derive(Debug, Clone)]
pub struct Listing {
    title: String,
    columns: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

const MIN_WIDTH: usize = 15;

impl Listing {
    /// An empty listing.
    pub fn new(title: impl Into<String>, columns: &'static [&'static str]) -> Self {
        Listing { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The original's table: columns at least 15 wide, two spaces between, two empty lines at the end; nothing at
    /// all when there are no rows.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let longest = self.rows.iter().map(|r| r[i].text.chars().count()).max().unwrap_or(0);
                longest.max(name.chars().count()).max(MIN_WIDTH)
            })
            .collect();
        let mut out = format!("{}\n", self.title);
        let mut line = |cells: &[&str]| {
            for (i, cell) in cells.iter().enumerate() {
                if i + 1 == cells.len() {
                    out.push_str(cell);
                } else {
                    // Writing to a String cannot fail.
                    write!(out, "{cell:<width$}  ", width = widths[i]).unwrap_or_default();
                }
            }
            out.push('\n');
        };
        line(self.columns);
        let dashes: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        line(&dashes.iter().map(String::as_str).collect::<Vec<_>>());
        for row in &self.rows {
            line(&row.iter().map(|c| c.text.as_str()).collect::<Vec<_>>());
        }
        out.push_str("\n\n");
        out
    }

    /// An array with one object per row; `[]` when there are none.
    pub fn json(&self) -> Value {
        self.rows
            .iter()
            .map(|row| {
                let pairs = self.columns.iter().zip(row);
                Value::Object(
                    pairs.map(|(name, cell)| ((*name).to_owned(), cell.json.clone())).collect::<Map<_, _>>(),
                )
            })
            .collect()
    }

    /// Prints the listing to standard output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json { format!("{:#}\n", self.json()) } else { self.text() };
        print(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_the_original() {
        let mut listing = Listing::new("Tables on node", &["table_name", "merge_state", "table_attrs"]);
        assert_eq!(listing.text(), "");
        assert_eq!(listing.json(), serde_json::json!([]));
        listing.push(vec!["public.a".into(), Some("ok".to_owned()).into(), "".into()]);
        listing.push(vec!["public.a_long_table_name".into(), None.into(), "{'x': '1'}".into()]);
        let expected = "\
Tables on node
table_name                merge_state      table_attrs
------------------------  ---------------  ---------------
public.a                  ok               
public.a_long_table_name  None             {'x': '1'}


";
        assert_eq!(listing.text(), expected);
    }

    #[test]
    fn json_has_types() {
        let mut listing = Listing::new("Sequences on node", &["seq_name", "local", "last_value"]);
        listing.push(vec!["public.s".into(), true.into(), 30001_i64.into()]);
        assert_eq!(
            listing.json(),
            serde_json::json!([{"seq_name": "public.s", "local": true, "last_value": 30001}])
        );
        assert!(listing.text().contains("public.s         True             30001\n"));
    }
}
