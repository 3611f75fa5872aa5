//! Memory stays flat whatever the size of a batch. A program of its own: the figure is that of the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that fails says where

use anyhow::{Context, Result};
use pgq::batch::{self, BatchLimits};
use pgq::queue;

const MIB: u64 = 1024 * 1024;

/// The most memory this process ever had resident.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

#[tokio::test]
async fn a_million_events_and_then_one_large_one() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    queue::create_queue(&client, "q").await?;
    queue::register_consumer(&client, "q", "c").await?;
    let many = "do $$ begin execute format('insert into %s (ev_time, ev_type, ev_data) \
                select now(), ''I:id'', repeat(''x'', 190) || n from generate_series(1, 1000000) n', \
                pgq.current_event_table('q')); end $$";
    client.batch_execute(many).await?;
    assert_eq!(drain(&client).await?, (1_000_000, 0));
    let after_many = peak()?;
    assert!(after_many < 150 * MIB, "{} MiB after a million events", after_many / MIB);

    let large = 64 * MIB;
    let one = format!("select pgq.insert_event('q', 'large', repeat('x', {large}))");
    client.batch_execute(&one).await?;
    assert_eq!(drain(&client).await?, (1, large));
    let after_large = peak()?;
    assert!(after_large < 150 * MIB + 4 * large, "{} MiB after one large event", after_large / MIB);
    println!(
        "peak: {} MiB, then {} MiB with a value of {} MiB",
        after_many / MIB,
        after_large / MIB,
        large / MIB
    );
    Ok(())
}

/// Reads and finishes the next batch as slowly as the executor allows; returns the number of its events and the
/// size of the largest, when it is large.
async fn drain(client: &tokio_postgres::Client) -> Result<(u64, u64)> {
    queue::force_tick(client, "q").await?;
    queue::ticker(client, "q").await?;
    let info = batch::next_batch(client, "q", "c", &BatchLimits::default()).await?;
    let info = info.context("a batch")?;
    let mut stream = batch::events(client, info.batch_id, None).await?;
    let mut largest = 0;
    while let Some(event) = stream.next_event().await? {
        largest = largest.max(event.text_len() as u64);
        if event.id() % 1000 == 0 {
            // The other side gets every chance to run ahead.
            tokio::task::yield_now().await;
        }
    }
    batch::finish_batch(client, info.batch_id).await?;
    Ok((stream.received(), if largest < MIB { 0 } else { largest - 5 }))
}
