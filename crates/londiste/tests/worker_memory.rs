//! Memory of the worker on a large batch. Alone in its program: the peak is that of the whole process.

mod support;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use support::Pair;

/// Peak resident memory of this process, in KiB.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).context("VmHWM without a number")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_million_events_and_a_twenty_megabyte_value_fit() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table big (id bigint primary key, grp int not null, name text, note text)").await?;
    pair.add("public.big", "'expect_sync'").await?;
    pair.on_root.execute("select pgq.set_queue_config('q', 'ticker_paused', 'true')", &[]).await?;
    // Rows without capture, and the events that capture would write: the same, many times faster.
    let events = pair.root.connect().await?;
    let table: String = events.query_one("select pgq.current_event_table('q')", &[]).await?.get(0);
    events
        .batch_execute(&format!(
            "begin; set local session_replication_role = replica; \
             insert into big select g, g % 10, 'name ' || g, 'a note of some length & more' from generate_series(1, 600000) g; \
             update big set note = 'changed' where id <= 300000; delete from big where id > 500000; \
             insert into {table} (ev_time, ev_type, ev_data, ev_extra1) \
               select now(), 'I:id', format('id=%s&grp=%s&name=name+%s&note=a+note+of+some+length+%%26+more', g, g % 10, g), 'public.big' \
                 from generate_series(1, 600000) g; \
             insert into {table} (ev_time, ev_type, ev_data, ev_extra1) \
               select now(), 'U:id', format('id=%s&grp=%s&name=name+%s&note=changed', g, g % 10, g), 'public.big' \
                 from generate_series(1, 300000) g; \
             insert into {table} (ev_time, ev_type, ev_data, ev_extra1) \
               select now(), 'D:id', format('id=%s&grp=%s&name=name+%s&note', g, g % 10, g), 'public.big' \
                 from generate_series(500001, 600000) g; \
             commit"
        ))
        .await?;
    pair.on_root.execute("select pgq.set_queue_config('q', 'ticker_paused', 'false')", &[]).await?;
    let before = peak()?;
    let begun = Instant::now();
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = peak()?;
    println!("1000000 events in {seconds:.1} s; peak {before} KiB before, {after} KiB after");
    ensure!(pair.assert_same("big").await? == 500_000);
    ensure!(after < 150 * 1024, "the peak is {after} KiB");

    pair.on_root
        .batch_execute("insert into big values (-1, 0, 'huge', (select repeat('0123456789abcd&%', 1310720)))")
        .await?;
    pair.until_caught_up().await?;
    pair.assert_same("big").await?;
    let huge = peak()?;
    println!("with a value of 20 MiB: peak {huge} KiB");
    ensure!(huge < 150 * 1024 + 4 * 24 * 1024, "the peak is {huge} KiB");
    worker.stop().await
}
