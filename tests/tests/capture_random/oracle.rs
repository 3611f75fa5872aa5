//! What was committed, by the word of the server's log: logical decoding counts the changes of each transaction and table, and
//! the events must be as many.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::captured;
use crate::mirror::{self, Event};
use crate::stage::{Wrong, finding};

const SLOT: &str = "oracle";

/// Changes of one kind: transaction, table, operation.
type Counts = BTreeMap<(i64, String, char), i64>;

/// From here on changes are remembered.
pub async fn start(source: &Client) -> Result<()> {
    source
        .execute("select pg_create_logical_replication_slot($1, 'test_decoding')", &[&SLOT])
        .await
        .context("logical decoding needs PostgreSQL's contrib module test_decoding")?;
    Ok(())
}

/// The changes since the last call.
async fn committed(source: &Client) -> Result<Counts> {
    let rows = source
        .query(
            "select xid::text::int8, data from pg_logical_slot_get_changes($1, null, null, 'skip-empty-xacts', '1')
              where data like 'table %'",
            &[&SLOT],
        )
        .await?;
    let mut counts = Counts::new();
    for row in rows {
        let line: String = row.get(1);
        let rest = line.strip_prefix("table ").context("no table")?;
        // names are quoted; the first ": " outside of quotes ends them
        let mut quoted = false;
        let end = rest
            .char_indices()
            .find(|(at, c)| {
                quoted ^= *c == '"';
                !quoted && *c == ':' && rest[*at..].starts_with(": ")
            })
            .map(|(at, _)| at)
            .with_context(|| format!("no operation in {line}"))?;
        let (tables, operation) = (&rest[..end], &rest[end + 2..]);
        let letter = operation.chars().next().context("no operation")?;
        // TRUNCATE names several
        for table in split_names(tables) {
            let letter = if letter == 'T' { 'R' } else { letter };
            *counts.entry((row.get(0), table, letter)).or_default() += 1;
        }
    }
    Ok(counts)
}

fn split_names(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut quoted = false;
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        quoted ^= c == '"';
        if !quoted && c == ',' {
            rest.next_if_eq(&' ');
            names.push(String::new());
        } else if let Some(name) = names.last_mut() {
            name.push(c);
        }
    }
    names
}

/// The events must be the changes, each once. A changed key is a delete and an insert.
pub async fn count(source: &Client, events: &[Event]) -> Result<()> {
    let mut ids: Vec<i64> = events.iter().map(|e| e.id).collect();
    ids.sort_unstable();
    ids.dedup();
    captured::still(source).await?;
    // the rows of others; a table that is gone, or was called otherwise, was a captured one
    let others = source
        .query(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.oid not in (select id from h.captured)",
            &[],
        )
        .await?;
    let others: Vec<String> = others.iter().map(|r| r.get(0)).collect();
    let mut balance = committed(source).await?;
    balance.retain(|(_, table, _), _| !others.contains(table));
    for event in events.iter().filter(|e| e.kind != mirror::DEFINITION) {
        let letter = event.kind.chars().next().context("no type")?;
        let (schema, name) = event.table.split_once('.').context("no table")?;
        let table = quote(source, schema, name).await?;
        *balance.entry((event.txid, table, letter)).or_default() -= 1;
    }
    // an update of a key
    let updates: Vec<(i64, String, i64)> = balance
        .iter()
        .filter(|((_, _, letter), n)| *letter == 'U' && **n > 0)
        .map(|((xid, table, _), n)| (*xid, table.clone(), *n))
        .collect();
    for (xid, table, n) in updates {
        for (letter, change) in [('U', -n), ('D', n), ('I', n)] {
            *balance.entry((xid, table.clone(), letter)).or_default() += change;
        }
    }
    balance.retain(|_, n| *n != 0);
    let wrong = (|| {
        ensure!(ids.len() == events.len(), "an event came twice");
        ensure!(
            balance.is_empty(),
            "changes without events (above 0) or events without changes: {balance:?}"
        );
        Ok(())
    })();
    wrong.map_err(|e| finding(Wrong::Count, &e))
}

/// A name as the server quotes it.
async fn quote(source: &Client, schema: &str, name: &str) -> Result<String> {
    Ok(source.query_one("select format('%I.%I', $1::text, $2::text)", &[&schema, &name]).await?.get(0))
}
