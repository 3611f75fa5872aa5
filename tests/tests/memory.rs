//! The worker's memory does not grow with the batch: 1 000 000 events in one batch, and a 20 MB value.

use anyhow::{Context, Result};
use e2e::judge::assert_identical;
use e2e::pair::{Pair, QUEUE};

/// High-water mark of resident memory in KiB (`VmHWM` of proc(5)).
fn high_water(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_events_and_a_large_value_fit() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    pair.source.psql("db", "create table public.big (id bigint primary key, name text not null, balance numeric(12,2), note text)")?;
    pair.start().await?;
    pair.londiste("root", &["add-table", "big"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    pair.londiste("leaf", &["add-table", "big", "--create", "--wait-sync"]).await?;

    // One transaction is one batch, however large. The events are written past the trigger, in its format: what
    // is measured here is the worker, and capturing a million rows one by one would take most of the time.
    let source = pair.source_db().await?;
    let table: String = source.query_one("select pgq.current_event_table($1)", &[&QUEUE]).await?.get(0);
    source
        .batch_execute(&format!(
            "begin;
             alter table public.big disable trigger user;
             insert into public.big select g, 'name of row ' || g, g * 1.25, 'some text that makes the row about as long as rows are: ' || g from generate_series(1, 1000000) g;
             insert into {table} (ev_time, ev_type, ev_data, ev_extra1)
                select now(), 'I:id', format('id=%s&name=%s&balance=%s&note=%s', id, replace(name, ' ', '+'), balance, replace(replace(note, ' ', '+'), ':', '%3a')), 'public.big'
                  from public.big order by id;
             alter table public.big enable trigger user;
             commit",
        ))
        .await?;
    pair.wait_replayed().await?;
    let events: i64 = source
        .query_one(&format!("select count(*) from pgq.event_{}", queue_id(&source).await?), &[])
        .await?
        .get(0);
    assert!(events >= 1_000_000, "{events} events in the queue");
    let pid = pair.leaf.as_ref().context("worker")?.pid();
    let peak = high_water(pid)?;
    assert!(peak <= 150 * 1024, "the worker used {} MiB for a batch of a million events", peak / 1024);

    // A protocol message is buffered whole: the bound is the above plus four times the largest row.
    source
        .batch_execute("update public.big set note = repeat('20 MB & 100 % é ', 1250000) where id = 7")
        .await?;
    pair.wait_replayed().await?;
    let peak = high_water(pid)?;
    // 20 MB as a value; as an event the percent signs, blanks and letters of it are longer.
    let row: i64 = source
        .query_one(
            &format!("select max(octet_length(ev_data))::bigint from pgq.event_{}", queue_id(&source).await?),
            &[],
        )
        .await?
        .get(0);
    let bound = 150 * 1024 + 4 * u64::try_from(row)? / 1024;
    assert!(peak <= bound, "the worker used {} MiB; the bound is {} MiB", peak / 1024, bound / 1024);
    let rows = "(select id, name, balance, note from public.big where id < 1000 or id % 1000 = 0)";
    assert_identical(&source, &pair.target_db().await?, &[rows]).await?;
    let target = pair.target_db().await?;
    let sum = "select count(*), sum(hashtextextended(t::text, 0))::text from public.big t";
    let (left, right) = (source.query_one(sum, &[]).await?, target.query_one(sum, &[]).await?);
    assert_eq!(left.get::<_, i64>(0), right.get::<_, i64>(0));
    assert_eq!(left.get::<_, String>(1), right.get::<_, String>(1));
    Ok(())
}

async fn queue_id(db: &tokio_postgres::Client) -> Result<i32> {
    Ok(db.query_one("select queue_id from pgq.queue where queue_name = $1", &[&QUEUE]).await?.get(0))
}
