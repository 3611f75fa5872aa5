//! A history is applied, in order or by set.

use anyhow::{Context, Result, ensure};
use londiste::apply::session::{self, SourceStyle};
use londiste::apply::{Applier, Counts, Tables};
use pgq::change;
use tokio_postgres::Client;

use crate::history::Step;

/// What tables may be made of.
pub const TYPES: &str = "create extension citext; create type mood as enum ('sad', 'ok', 'it''s \"fine\"'); \
     create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";

/// A session as the worker prepares it.
pub async fn prepared(db: &testkit::TestDb) -> Result<Client> {
    let client = db.connect().await?;
    let style = SourceStyle::load(&client).await?;
    session::prepare_apply(&client, "q", &style).await?;
    Ok(client)
}

/// The n-th table of a history.
pub fn dest(schema: &str, table: usize) -> String {
    format!("{schema}.t{table}")
}

/// SQL about the n-th table, `{s}`, and the others.
pub fn fill(sql: &str, schema: &str, table: usize) -> String {
    sql.replace("{s}", &dest(schema, table))
        .replace("{first}", &dest(schema, 0))
        .replace("{log}", &format!("{schema}.log"))
}

async fn play(applier: &mut Applier<'_>, steps: &[Step], schema: &str) -> skytools::Result<Counts> {
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Change { table, event } => {
                // Every third is taken apart, although it need not be.
                if nth % 3 > 0 && applier.apply_quickly(event, &dest(schema, *table)).await? {
                    continue;
                }
                let Some(change) = change::decode(event)? else {
                    return Err(skytools::Error::data("the history has an event that changes no row"));
                };
                applier.apply(event, &change, &dest(schema, *table)).await?;
            }
            Step::Sql { table, sql } => {
                applier.flush_for_ddl().await?.batch_execute(&fill(sql, schema, *table)).await?;
            }
        }
    }
    applier.flush().await?;
    Ok(applier.counts())
}

/// How a batch ended: its counts, or its error without the schema's name.
pub type End = Result<Counts, String>;

fn plain(error: &skytools::Error, schema: &str) -> String {
    error.chain().replace(&format!("{schema}."), "")
}

pub async fn in_order(client: &Client, tables: &mut Tables, steps: &[Step], schema: &str) -> Result<End> {
    client.batch_execute("begin").await?;
    let mut applier = Applier::new(client, tables, true);
    let played = play(&mut applier, steps, schema).await;
    client.batch_execute(if played.is_ok() { "commit" } else { "rollback" }).await?;
    Ok(played.map_err(|e| plain(&e, schema)))
}

/// As the worker does it. Also says how the tables were applied.
pub async fn by_set(
    client: &Client,
    tables: &mut Tables,
    steps: &[Step],
    schema: &str,
    few: usize,
    memory: usize,
) -> Result<(End, String)> {
    client.batch_execute("begin").await?;
    let mut applier = Applier::by_set_from(client, tables, few).in_memory(memory);
    let played = play(&mut applier, steps, schema).await;
    let how = applier.describe();
    match played {
        Ok(counts) => {
            client.batch_execute("commit").await?;
            Ok((Ok(counts), how))
        }
        Err(error) => {
            applier.note_failure(&error);
            drop(applier);
            client.batch_execute("rollback").await?;
            let of_set = tables.set_has_failed();
            tables.after_rollback(&error);
            // Otherwise the worker drops the connection and replays one by one, to name the event.
            let end = in_order(client, tables, steps, schema).await?;
            ensure!(of_set || end.is_err(), "ordered replay succeeds after: {}", error.chain());
            Ok((end, format!("failed: {}", error.chain())))
        }
    }
}

/// The rows as text.
pub async fn rows(client: &Client, table: &str) -> Result<Vec<String>> {
    let sql = format!("select r_::text from {table} r_ order by r_::text collate \"C\"");
    Ok(client.query(&sql, &[]).await.with_context(|| table.to_owned())?.iter().map(|r| r.get(0)).collect())
}
