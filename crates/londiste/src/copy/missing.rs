//! Columns that the source has and this node has not.
//!
//! Their values are in the copy's snapshot, so no event brings them later, not even when an EXECUTE that is on its way adds the
//! column: it would stay empty, without a word. So the copy waits for the column, as replay does.

use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::transfer::Columns;
use crate::apply::TableShape;
use crate::table::TableRow;

/// Arguments of the triggers that capture the table, each ended by a zero byte; the first is the queue.
const CAPTURE: &str = "select t.tgargs from pg_catalog.pg_trigger t \
       join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
     where t.tgrelid = $1::oid and not t.tgisinternal and n.nspname = 'pgq'";

/// Columns that events of the table do not carry: `ignore=` of its triggers.
///
/// # Errors
/// Whatever the server reports.
pub async fn ignored(source: &Client, queue: &str, table: &TableShape) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for row in source.query_typed(CAPTURE, &[(&table.oid, Type::OID)]).await? {
        names.extend(ignored_by(queue, row.try_get(0)?));
    }
    Ok(names)
}

fn ignored_by(queue: &str, args: &[u8]) -> Vec<String> {
    let mut args = args.split(|&byte| byte == 0);
    if args.next() != Some(queue.as_bytes()) {
        return Vec::new();
    }
    let lists = args.filter_map(|arg| arg.strip_prefix(b"ignore="));
    lists
        .flat_map(|list| list.split(|&b| b == b','))
        // as capture reads it
        .map(|n| String::from_utf8_lossy(n).trim_matches(' ').to_owned())
        .collect()
}

/// Asserts that every column of the source that events carry is here, or that somebody has said that it need not be.
///
/// # Errors
/// [`skytools::ErrorKind::State`] naming the columns.
pub fn refuse(row: &TableRow, columns: &Columns, there: &TableShape, ignored: &[String]) -> Result<()> {
    let computed = |name: &str| there.column(name).is_some_and(|c| c.generated);
    let missing: Vec<String> = columns
        .only_source
        .iter()
        .filter(|name| !ignored.contains(name) && !computed(name) && !row.attrs.does_without(name))
        .map(|name| format!("\"{name}\""))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::state(format!(
        "table {} lacks columns that the copy's source has: {}",
        row.dest(),
        missing.join(", ")
    ))
    .hint("add them here, unless an EXECUTE that is still to come does; the copy goes on by itself. To do without them, leave them out of the events (--trigger-arg=ignore=COLUMN on the root), or remove the table and add it with --force"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_triggers_of_the_queue_tell_what_is_ignored() {
        assert_eq!(ignored_by("q", b"q\0backup\0ignore=a, b c \0"), ["a", "b c"]);
        assert_eq!(ignored_by("q", b"q\0pkey=ignore\0"), [""; 0]);
        assert_eq!(ignored_by("q", b"qq\0ignore=a\0"), [""; 0]);
        assert_eq!(ignored_by("q", b""), [""; 0]);
    }
}
