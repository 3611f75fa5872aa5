//! Ticks made at once, beside tickers that know nothing of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use pgq::queue;
use pgq::tick::{tick_if_due, tick_now};

use crate::fixture::{Fixture, QUEUE, Schema};

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_comes_at_once_or_is_left_to_the_ticker() -> Result<()> {
    for schema in [Schema::Ours, Schema::Original] {
        let f = Fixture::new(schema).await?;
        let newest = "select max(tick_id) from pgq.tick";
        let before: i64 = f.client.query_one(newest, &[]).await?.get(0);
        ensure!(tick_now(&f.client, QUEUE).await?, "{schema:?}: a tick for somebody who may");
        let after: i64 = f.client.query_one(newest, &[]).await?.get(0);
        ensure!(after == before + 1, "{before} {after}");
        ensure!(!tick_if_due(&f.client, QUEUE).await?, "{schema:?}: a tick that is not due");

        // A ticker that is at work keeps its order.
        let other = f.db.connect().await?;
        other.batch_execute("begin").await?;
        queue::force_tick(&other, QUEUE).await?;
        queue::ticker(&other, QUEUE).await?;
        ensure!(!tick_now(&f.client, QUEUE).await?, "{schema:?}: a tick beside one that is not committed");
        other.batch_execute("commit").await?;
        ensure!(tick_now(&f.client, QUEUE).await?);

        // So does pgqd by its lock.
        other.batch_execute("begin; select pg_advisory_xact_lock(1885827428, 1)").await?;
        ensure!(!tick_now(&f.client, QUEUE).await?);
        other.batch_execute("commit").await?;

        f.client.execute("select pgq.set_queue_config($1, 'ticker_paused', 'true')", &[&QUEUE]).await?;
        ensure!(!tick_now(&f.client, QUEUE).await?, "{schema:?}: a tick on a paused queue");
        f.client.execute("select pgq.set_queue_config($1, 'ticker_paused', 'false')", &[&QUEUE]).await?;
        // Usable afterwards, and outside a transaction.
        ensure!(tick_now(&f.client, QUEUE).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_only_ask() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let role = format!("reader_{}", std::process::id());
    f.client.batch_execute(&format!("create role {role} in role pgq_reader; set role {role}")).await?;
    let made = tick_now(&f.client, QUEUE).await;
    f.client.batch_execute(&format!("reset role; drop role {role}")).await?;
    ensure!(!made?);
    ensure!(queue::ticker(&f.client, QUEUE).await?.is_some(), "the request was not noted");
    Ok(())
}

/// One ticker that takes no lock, as the original's daemon, several that come by [`tick_now`], and writers.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_snapshots_have_one_order() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for nr in 0..6 {
        let (client, stop) = (f.db.connect().await?, Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match nr {
                    0 => {
                        queue::force_tick(&client, QUEUE).await?;
                        queue::ticker(&client, QUEUE).await?;
                    }
                    1..3 => {
                        client.execute("select pgq.insert_event($1, 't', 'd')", &[&QUEUE]).await?;
                    }
                    _ => {
                        tick_now(&client, QUEUE).await?;
                    }
                }
            }
            anyhow::Ok(())
        }));
    }
    let enough = testkit::wait_for("ticks of both kinds", testkit::PATIENCE, || async {
        let ticks: i64 = f.client.query_one("select count(*) from pgq.tick", &[]).await?.get(0);
        Ok((ticks > 1500).then_some(()))
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    enough?;
    let wrong: i64 = f
        .client
        .query_one(
            "select count(*) from pgq.tick a join pgq.tick b on b.tick_queue = a.tick_queue and b.tick_id = a.tick_id + 1 \
              where txid_snapshot_xmax(a.tick_snapshot) > txid_snapshot_xmax(b.tick_snapshot) \
                 or txid_snapshot_xmin(a.tick_snapshot) > txid_snapshot_xmin(b.tick_snapshot) \
                 or exists (select 1 from txid_snapshot_xip(b.tick_snapshot) x where txid_visible_in_snapshot(x, a.tick_snapshot))",
            &[],
        )
        .await?
        .get(0);
    ensure!(wrong == 0, "{wrong} ticks have older snapshots than the one before");
    Ok(())
}
