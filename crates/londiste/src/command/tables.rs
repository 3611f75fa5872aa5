//! `tables`: the tables that this node replicates.

use std::process::ExitCode;

use serde_json::{Map, Value};
use skytools::{Error, ErrorKind, Result};

use super::capture::Capture;
use super::listing::{Cell, Listing};
use super::session::{Session, expect_args};
use crate::apply::set;
use crate::copy::Explainer;
use crate::table::ADDED_AT;
use crate::{BadRow, TableAttrs, TableRow};

/// Shows the tables of this node, how far their copy has come, and their attributes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Only the names, one per line.
    #[arg(long)]
    names_only: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// No node of the queue in this database. A row that cannot be understood, and with `--verbose` a table whose changes are not
/// captured, is shown with its problem; the exit status is then 1.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("tables", &args.args, &[])?;
    let local = session.local().await?;
    session.local_node(&*local).await?;
    let mut rows: Vec<Listed> =
        TableRow::load_each(&*local, session.queue()).await?.into_iter().filter_map(Listed::new).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let bad = rows
        .iter()
        .filter_map(|row| row.problem.as_ref())
        .inspect(|e| tracing::error!("{}", e.chain()))
        .count();
    let code = ExitCode::from(u8::from(bad > 0));
    if args.names_only {
        if args.json {
            println!("{:#}", rows.iter().map(|row| Value::from(row.name.as_str())).collect::<Value>());
        } else {
            rows.iter().for_each(|row| println!("{}", row.name));
        }
        return Ok(code);
    }
    // --verbose is an option of every command, and tells the log the same.
    if tracing::enabled!(tracing::Level::DEBUG) {
        let mut listing = Listing::new(
            "Tables on node",
            &["table_name", "merge_state", "table_attrs", "apply_mode", "copy_mode", "capture"],
        );
        let changes = set::Explainer::open(&local).await?;
        let mut copies = Explainer::open(session.config()).await?;
        let stored = rows.iter().filter_map(|row| row.stored.as_ref());
        let captures = Capture::load(&*local, session.queue(), stored).await?;
        let mut code = code;
        for row in rows {
            let mode = apply_mode(&changes, &row).await?;
            let copy = match &row.stored {
                Some(stored) => copies.explain(stored).await?,
                None => None,
            };
            let capture = captures.iter().find(|c| c.table == row.name);
            if let Some(problem) = capture.and_then(|c| c.problem.as_ref()) {
                tracing::error!("Table {}: {problem}", row.name);
                code = ExitCode::FAILURE;
            }
            if let Some(warning) = capture.and_then(|c| c.warning.as_ref()) {
                tracing::warn!("Table {}: {warning}", row.name);
            }
            let capture = capture.map_or_else(|| Cell::from(None), |c| Cell::new(c.text(), c.json()));
            listing.push(vec![
                row.name.into(),
                row.state.into(),
                row.attrs,
                mode.into(),
                copy.into(),
                capture,
            ]);
        }
        listing.print(args.json)?;
        return Ok(code);
    }
    let mut listing = Listing::new("Tables on node", &["table_name", "merge_state", "table_attrs"]);
    for row in rows {
        listing.push(vec![row.name.into(), row.state.into(), row.attrs]);
    }
    listing.print(args.json)?;
    Ok(code)
}

/// How the worker applies changes of the table, as far as login and table decide; batches with few changes go in order
/// anyway.
async fn apply_mode(changes: &set::Explainer<'_>, row: &Listed) -> Result<String> {
    match changes.explain(&row.dest).await {
        Ok(mode) => Ok(mode.to_string()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok("the table does not exist".to_owned()),
        Err(e) => Err(e),
    }
}

/// A line of the listing.
struct Listed {
    name: String,
    /// The physical table.
    dest: String,
    state: Option<String>,
    attrs: Cell,
    /// As it is stored, when that can be understood.
    stored: Option<TableRow>,
    /// Why the table cannot be replicated as it is stored.
    problem: Option<Error>,
}

impl Listed {
    /// `None` for a table that is not replicated on this node.
    fn new(row: std::result::Result<TableRow, BadRow>) -> Option<Listed> {
        match row {
            Ok(row) => row.local.then(|| Listed {
                state: row.merge_state.to_stored(),
                attrs: attrs_cell(&row.attrs),
                dest: row.dest().to_owned(),
                name: row.table_name.clone(),
                stored: Some(row),
                problem: None,
            }),
            Err(bad) => bad.local.then(|| {
                let problem = bad.problem.chain();
                Listed {
                    attrs: Cell::new(format!("ERR: {problem}"), serde_json::json!({"error": problem})),
                    dest: bad.table_name.clone(),
                    name: bad.table_name,
                    state: bad.merge_state,
                    stored: None,
                    problem: Some(bad.problem),
                }
            }),
        }
    }
}

/// Attributes in the notation of a Python dictionary, as the original prints them.
fn attrs_cell(attrs: &TableAttrs) -> Cell {
    // The mark is the worker's alone.
    let shown = || attrs.iter().filter(|(k, _)| *k != ADDED_AT);
    let json = shown().map(|(k, v)| (k.to_owned(), Value::from(v))).collect::<Map<_, _>>();
    if json.is_empty() {
        return Cell::new("", Value::Object(json));
    }
    let pairs: Vec<String> = shown()
        .map(|(k, v)| format!("{}: {}", python_string(k), v.map_or_else(|| "None".to_owned(), python_string)))
        .collect();
    Cell::new(format!("{{{}}}", pairs.join(", ")), Value::Object(json))
}

fn python_string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_look_like_a_python_dictionary() {
        let attrs =
            TableAttrs::parse(Some("handler=londiste%28ignore_truncate%3d1%29&x&copy_node=it%27s")).unwrap();
        let expected = "{'handler': 'londiste(ignore_truncate=1)', 'x': None, 'copy_node': \"it's\"}";
        assert_eq!(
            attrs_cell(&attrs),
            Cell::new(
                expected,
                serde_json::json!({"handler": "londiste(ignore_truncate=1)", "x": null, "copy_node": "it's"})
            )
        );
        assert_eq!(attrs_cell(&TableAttrs::default()), Cell::new("", serde_json::json!({})));
        assert_eq!(python_string("a'b\"\\"), r#"'a\'b"\\'"#);
    }
}
