//! The second database: a small interpreter of events that shares no code with the project's own, and the comparison.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::Client;

use crate::captured;
use crate::kinds::{ident, literal};

/// The type of an event that repeats a definition on the mirror.
pub const DEFINITION: &str = "ddl";

/// An event as a consumer gets it.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: i64,
    pub txid: i64,
    pub kind: String,
    pub data: String,
    pub table: String,
}

fn quoted(table: &str) -> Result<String> {
    let (schema, name) = table.split_once('.').with_context(|| format!("no schema in {table:?}"))?;
    Ok(format!("{}.{}", ident(schema), ident(name)))
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = [rest.next().context("% at the end")?, rest.next().context("% at the end")?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&pair)?, 16)?);
            }
            _ => bytes.push(byte),
        }
    }
    Ok(String::from_utf8(bytes)?)
}

/// The columns and values of an event's data.
fn columns(data: &str) -> Result<Vec<(String, Option<String>)>> {
    data.split('&')
        .map(|part| {
            Ok(match part.split_once('=') {
                Some((name, value)) => (decode(name)?, Some(decode(value)?)),
                None => (decode(part)?, None),
            })
        })
        .collect()
}

/// The statement that repeats an event, and whether it must touch exactly one row.
fn statement(event: &Event) -> Result<(String, bool)> {
    if event.kind == DEFINITION {
        return Ok((event.data.clone(), false));
    }
    let table = quoted(&event.table)?;
    if event.kind == "R" {
        return Ok((format!("truncate only {table}"), false));
    }
    let (operation, key) = event.kind.split_once(':').context("no key in the type")?;
    let row = columns(&event.data)?;
    let value = |v: &Option<String>| v.as_deref().map_or_else(|| "null".to_owned(), literal);
    let mut conditions = Vec::new();
    for name in key.split(',').filter(|k| !k.is_empty()) {
        let (_, key_value) = row
            .iter()
            .find(|(c, _)| c == name)
            .with_context(|| format!("key column {name:?} is not in the data"))?;
        conditions.push(format!("{} = {}", ident(name), value(key_value)));
    }
    // computed by the server, here as there
    let given: Vec<&(String, Option<String>)> = row.iter().filter(|(c, _)| c != "computed").collect();
    let sql = match operation {
        "I" => format!(
            "insert into {table} ({}) overriding system value values ({})",
            given.iter().map(|(c, _)| ident(c)).collect::<Vec<_>>().join(", "),
            given.iter().map(|(_, v)| value(v)).collect::<Vec<_>>().join(", ")
        ),
        "U" | "D" => {
            ensure!(!conditions.is_empty(), "an {operation} without key");
            let condition = conditions.join(" and ");
            if operation == "D" {
                format!("delete from only {table} where {condition}")
            } else {
                let set: Vec<String> =
                    given.iter().map(|(c, v)| format!("{} = {}", ident(c), value(v))).collect();
                format!("update only {table} set {} where {condition}", set.join(", "))
            }
        }
        _ => bail!("unknown operation {operation:?}"),
    };
    Ok((sql, true))
}

/// Repeats one event: of a row, it must find that row.
pub async fn apply(mirror: &Client, event: &Event) -> Result<()> {
    let (sql, one_row) = statement(event).with_context(|| format!("{event:?}"))?;
    if !one_row {
        return mirror.batch_execute(&sql).await.with_context(|| format!("{event:?}"));
    }
    let messages = mirror.simple_query(&sql).await.with_context(|| format!("{event:?}\n  as: {sql}"))?;
    let touched = messages.iter().find_map(|m| match m {
        tokio_postgres::SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    ensure!(touched == Some(1), "{} rows are there for {event:?}\n  as: {sql}", touched.unwrap_or_default());
    Ok(())
}

async fn rows(client: &Client, table: &str) -> Result<BTreeMap<String, i64>> {
    let sql = format!("select t::text, count(*) from only {table} t group by 1");
    let rows = client.query(&sql, &[]).await.with_context(|| sql.clone())?;
    Ok(rows.iter().map(|r| (r.get(0), r.get(1))).collect())
}

/// Fails where a captured table differs; returns the number of rows compared.
pub async fn compare(source: &Client, mirror: &Client) -> Result<usize> {
    let mut count = 0;
    for table in captured::tables(source).await? {
        let (there, here) = (rows(source, &table).await?, rows(mirror, &table).await?);
        count += there.len();
        if there != here {
            let only = |a: &BTreeMap<String, i64>, b: &BTreeMap<String, i64>| {
                a.iter()
                    .filter(|(row, n)| b.get(*row) != Some(n))
                    .map(|(row, n)| format!("\n    {n} × {row}"))
                    .collect::<String>()
            };
            bail!("{table} differs\n  source:{}\n  mirror:{}", only(&there, &here), only(&here, &there));
        }
    }
    Ok(count)
}
