//! Ticks made at once, beside tickers that know nothing of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use pgq::batch::{BatchLimits, Interval};
use pgq::consumer::Outcome;
use pgq::queue;
use pgq::tick::{OnDemand, tick_if_due, tick_now};
use tokio::sync::oneshot;

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
        for setting in ["ticker_max_lag", "ticker_idle_period"] {
            f.client.execute("select pgq.set_queue_config($1, $2, '1 hour')", &[&QUEUE, &setting]).await?;
        }
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

/// Plain tickers, as the original's daemon, one of them with a snapshot older than its call; some that come by
/// [`tick_now`], some on demand; and writers.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_snapshots_have_one_order() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for nr in 0..9 {
        let (client, stop) = (f.db.connect().await?, Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match nr {
                    0 | 8 => {
                        queue::force_tick(&client, QUEUE).await?;
                        queue::ticker(&client, QUEUE).await?;
                    }
                    1..3 => {
                        client.execute("select pgq.insert_event($1, 't', 'd')", &[&QUEUE]).await?;
                    }
                    3 => {
                        client.batch_execute("begin isolation level repeatable read").await?;
                        queue::force_tick(&client, QUEUE).await?;
                        match queue::ticker(&client, QUEUE).await {
                            Ok(_) => client.batch_execute("commit").await?,
                            Err(e) if e.sqlstate().is_some_and(|s| s.code() == "40001") => {
                                client.batch_execute("rollback").await?;
                            }
                            Err(e) => return Err(e.into()),
                        }
                    }
                    4..6 => {
                        OnDemand::of(&client).await?.look(&client, QUEUE).await?;
                    }
                    _ => {
                        tick_now(&client, QUEUE).await?;
                    }
                }
            }
            anyhow::Ok(())
        }));
    }
    let enough = testkit::wait_for("ticks of both kinds", 5 * testkit::PATIENCE, || async {
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
    // Whoever asks for a tick moves the sequence of events.
    let twice: i64 = f
        .client
        .query_one("select count(*) - count(distinct ev_id) from pgq.event_template", &[])
        .await?
        .get(0);
    ensure!(twice == 0, "{twice} events have the number of another one");
    Ok(())
}

#[tokio::test]
async fn a_snapshot_older_than_a_tick_makes_none() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let other = f.db.connect().await?;
    other.batch_execute("begin isolation level repeatable read").await?;
    queue::force_tick(&other, QUEUE).await?;
    let made = f.tick().await?;
    let refused = queue::ticker(&other, QUEUE).await;
    ensure!(
        refused.as_ref().is_err_and(|e| e.sqlstate().is_some_and(|s| s.code() == "40001")),
        "{refused:?}"
    );
    other.batch_execute("rollback; begin isolation level serializable").await?;
    queue::force_tick(&other, QUEUE).await?;
    ensure!(
        OnDemand::of(&other).await?.look(&other, QUEUE).await? == Some(made),
        "not without a snapshot of its own"
    );
    ensure!(queue::ticker(&other, QUEUE).await? == Some(made + 1));
    other.batch_execute("commit").await?;
    Ok(())
}

#[tokio::test]
async fn on_demand_the_events_of_a_transaction_open_at_the_last_tick_count() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let demand = OnDemand::of(&f.client).await?;
    ensure!(demand.is_possible());
    let writers = [f.db.connect().await?, f.db.connect().await?];
    for writer in &writers {
        writer.batch_execute("begin").await?;
        writer.execute("select pgq.insert_event($1, 't', 'late')", &[&QUEUE]).await?;
    }
    // The later of two transactions ends first, so that the other one is in the snapshot's list.
    let [first, second] = &writers;
    let before = f.tick().await?;
    ensure!(demand.look(&f.client, QUEUE).await? == Some(before), "nothing can be seen yet");
    for (nr, writer) in [(1, second), (2, first)] {
        writer.batch_execute("commit").await?;
        testkit::wait_for("a tick for the event", testkit::PATIENCE, || async {
            Ok((demand.look(&f.client, QUEUE).await? == Some(before + nr)).then_some(()))
        })
        .await?;
    }
    // A transaction that wrote no event is nobody's business.
    first.batch_execute("create table elsewhere (); drop table elsewhere").await?;
    f.client.execute("update pgq.tick set tick_time = tick_time - '1 hour'::interval", &[]).await?;
    ensure!(demand.look(&f.client, QUEUE).await? == Some(before + 2));
    Ok(())
}

#[tokio::test]
async fn a_consumer_needs_no_ticker() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    f.client.execute("select pgq.insert_event($1, 't', '0')", &[&QUEUE]).await?;
    let mut seen = 0;
    let consumer = f.consumer()?;
    let work = consumer.for_each_event(async move { stopped.await.unwrap_or_default() }, async |event| {
        ensure_data(event.data(), seen)?;
        seen += 1;
        if seen == 3 {
            stop.take().into_iter().for_each(|stop| stop.send(()).expect("running"));
        } else {
            f.client.execute("select pgq.insert_event($1, 't', $2)", &[&QUEUE, &seen.to_string()]).await?;
        }
        Ok(Outcome::Done)
    });
    let totals = tokio::time::timeout(testkit::PATIENCE, work).await??;
    ensure!((totals.batches, totals.events) == (3, 3), "{totals:?}");
    Ok(())
}

fn ensure_data(data: Option<&str>, wanted: u32) -> Result<()> {
    ensure!(data == Some(wanted.to_string().as_str()), "{data:?} instead of {wanted}");
    Ok(())
}

#[tokio::test]
async fn nobody_demands_ticks_who_shall_not() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    f.client.execute("select pgq.insert_event($1, 't', 'd')", &[&QUEUE]).await?;
    let patient = [
        f.consumer()?.tick_on_demand(false),
        f.consumer()?
            .limits(BatchLimits { min_interval: Some(Interval::new("1 hour")), ..Default::default() }),
        f.consumer()?.limits(BatchLimits { min_count: Some(2), ..Default::default() }),
    ];
    for consumer in patient {
        ensure!(consumer.session().awaited_batch().await?.is_none(), "{consumer:?}");
    }
    // Where it cannot be had, the ticker is waited for.
    let original = Fixture::new(Schema::Original).await?;
    original.client.execute("select pgq.insert_event($1, 't', 'd')", &[&QUEUE]).await?;
    ensure!(original.consumer()?.session().awaited_batch().await?.is_none());
    let ticks: i64 = f.client.query_one("select count(*) from pgq.tick", &[]).await?.get(0);
    ensure!(ticks == 1, "{ticks} ticks");

    let mut session = f.consumer()?.session();
    ensure!(session.awaited_batch().await?.is_some_and(|b| b.tick_id == 2));
    session.reset();
    ensure!(session.next_batch().await?.is_some_and(|b| b.tick_id == 2), "the same batch");
    let role = format!("patient_{}", std::process::id());
    f.client.batch_execute(&format!("create role {role} in role pgq_reader; set role {role}")).await?;
    let may = OnDemand::of(&f.client).await;
    f.client.batch_execute(&format!("reset role; drop role {role}")).await?;
    ensure!(!may?.is_possible());
    Ok(())
}
