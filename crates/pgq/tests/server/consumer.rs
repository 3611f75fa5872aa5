//! The loops of the consumer, at least once.

use std::time::Duration;

use anyhow::Result;
use pgq::consumer::{Batch, CallbackResult, Consumer, Handler, Outcome};
use pgq::queue;
use skytools::ErrorKind;
use tokio::sync::oneshot;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, on_both};

on_both!(
    every_event_once_in_order,
    tagged_events_come_again,
    a_failing_callback_leaves_the_batch_open,
    filters_and_unread_batches,
    registration,
    a_session_driven_by_hand,
);

fn never() -> impl Future<Output = ()> {
    std::future::pending()
}

async fn every_event_once_in_order(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    for _ in 0..3 {
        f.numbered(500).await?;
    }
    let consumer = f.consumer()?.until_idle(true);
    let mut seen = Vec::new();
    let totals = consumer
        .for_each_event(never(), async |event| {
            seen.push(event.data().unwrap_or_default().to_owned());
            Ok(Outcome::Done)
        })
        .await?;
    let expected: Vec<String> = (0..3).flat_map(|_| (0..500).map(|n| n.to_string())).collect();
    assert_eq!(seen, expected);
    assert_eq!((totals.batches, totals.events, totals.errors, totals.last_tick), (3, 1500, 0, Some(4)));
    assert_eq!(consumer.stats(), totals);
    Ok(())
}

async fn tagged_events_come_again(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(10).await?;
    let consumer = f.consumer()?.until_idle(true);
    let totals = consumer
        .for_each_event(never(), async |event| {
            let odd = event.data().is_some_and(|d| d.ends_with(['1', '3', '5', '7', '9']));
            Ok(if odd { Outcome::Retry(Duration::ZERO) } else { Outcome::Done })
        })
        .await?;
    assert_eq!((totals.events, totals.retried), (10, 5));
    assert_eq!(f.text("select pgq.maint_retry_events()::text").await?, "5");
    f.tick().await?;
    let mut again = Vec::new();
    consumer
        .for_each_batch(never(), async |batch| {
            while let Some(event) = batch.next_event().await? {
                again.push((event.data().unwrap_or_default().to_owned(), event.retry()));
            }
            batch.retry_whole(Duration::ZERO);
            Ok(())
        })
        .await?;
    let expected: Vec<_> = ["1", "3", "5", "7", "9"].iter().map(|d| ((*d).to_owned(), Some(1))).collect();
    assert_eq!(again, expected);
    assert_eq!(consumer.stats().retried, 10);
    assert_eq!(f.text("select count(*)::text from pgq.retry_queue where ev_retry = 2").await?, "5");
    Ok(())
}

async fn a_failing_callback_leaves_the_batch_open(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(1000).await?;
    let consumer = f.consumer()?.until_idle(true).backoff(Duration::from_millis(1), Duration::from_millis(1));
    let mut calls = 0;
    let error = consumer
        .for_each_event(never(), async |event| {
            calls += 1;
            match event.data() {
                Some("500") => Err("no stomach for 500".into()),
                _ => Ok(Outcome::Retry(Duration::ZERO)),
            }
        })
        .await
        .expect_err("the callback failed");
    assert_eq!(calls, 501);
    assert!(
        error.to_string().contains(CONSUMER) && error.chain().contains("no stomach"),
        "{}",
        error.chain()
    );
    assert_eq!(f.text("select count(*)::text from pgq.retry_queue").await?, "0");
    // The same batch again; this consumer does not give up.
    let consumer = consumer.retry_all_errors(true);
    let mut failures = 0;
    let totals = consumer
        .for_each_event(never(), async |_| {
            failures += 1;
            if failures <= 3 { Err("not yet".into()) } else { Ok(Outcome::Done) }
        })
        .await?;
    assert_eq!((totals.events, totals.errors, totals.batches), (1000, 3, 1));
    Ok(())
}

async fn filters_and_unread_batches(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(3000).await?;
    f.numbered(3000).await?;
    let consumer = f.consumer()?.until_idle(true).filter("ev_data::int >= 2990");
    let mut batches = 0;
    let totals = consumer
        .for_each_batch(never(), async |batch| {
            batches += 1;
            if batches == 1 {
                batch.next_event().await?; // the rest stays unread
                return Ok(());
            }
            while batch.next_event().await?.is_some() {}
            Ok(())
        })
        .await?;
    assert_eq!((totals.batches, totals.events), (2, 11));
    Ok(())
}

async fn registration(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    let newcomer = Consumer::new(f.connect_string()?, QUEUE, "newcomer").until_idle(true);
    let error =
        newcomer.for_each_event(never(), async |_| Ok(Outcome::Done)).await.expect_err("unregistered");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(newcomer.register().await?);
    assert!(!newcomer.register().await?);
    newcomer.for_each_event(never(), async |_| Ok(Outcome::Done)).await?;
    assert!(newcomer.unregister().await?);
    assert!(!newcomer.unregister().await?);
    Ok(())
}

async fn a_session_driven_by_hand(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(5).await?;
    let mut session = f.consumer()?.session();
    let info = session.next_batch().await?.expect("a batch");
    let mut batch = session.read(info).await?;
    let first = batch.next_event().await?.expect("an event");
    batch.retry(&first, Duration::from_secs(60));
    let done = session.finish(batch).await?;
    assert_eq!((done.events, done.retried, done.skipped), (1, 1, false));
    assert_eq!(session.next_batch().await?, None);
    Ok(())
}

/// Stops in the middle of its first batch until it is told to go on.
struct Halting {
    started: Option<oneshot::Sender<()>>,
    may_finish: Option<oneshot::Receiver<()>>,
}

impl Handler for Halting {
    async fn batch(&mut self, batch: &mut Batch) -> CallbackResult {
        while batch.next_event().await?.is_some() {
            if let (Some(started), Some(may_finish)) = (self.started.take(), self.may_finish.take()) {
                started.send(()).map_err(|()| "nobody waits")?;
                may_finish.await?;
            }
        }
        Ok(())
    }
}

/// Also shows that the loop can be spawned.
#[tokio::test]
async fn shutdown_ends_the_loop_between_batches() -> Result<()> {
    let mut f = Fixture::new(Schema::Ours).await?;
    f.numbered(1).await?;
    let consumer = f.consumer()?.poll_interval(Duration::from_secs(3600));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { stopped.await.unwrap_or_default() };
    let (started, entered) = oneshot::channel::<()>();
    let (finish, may_finish) = oneshot::channel::<()>();
    let handler = Halting { started: Some(started), may_finish: Some(may_finish) };
    let running = tokio::spawn(consumer.run(shutdown, handler));
    entered.await?;
    stop.send(()).expect("running");
    finish.send(()).expect("running");
    let totals = in_time(running).await??;
    assert_eq!((totals.batches, totals.events), (1, 1));
    let info = queue::consumer_info(&f.client, QUEUE, CONSUMER).await?.expect("registered");
    assert_eq!((info.current_batch, info.last_tick), (None, Some(2)));
    Ok(())
}

/// An idle consumer sleeps for an hour here, and stops at once.
#[tokio::test]
async fn shutdown_ends_an_idle_loop() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let consumer = f.consumer()?.poll_interval(Duration::from_secs(3600));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        consumer
            .for_each_event(async move { stopped.await.unwrap_or_default() }, async |_| Ok(Outcome::Done))
            .await
    });
    // It has asked once: its connection is idle in the server's eyes.
    testkit::wait_for("the consumer's first question", testkit::PATIENCE, async || {
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1 and state = 'idle'";
        let idle: i64 = f.client.query_one(sql, &[&CONSUMER]).await?.get(0);
        Ok((idle == 1).then_some(()))
    })
    .await?;
    stop.send(()).expect("running");
    assert_eq!(in_time(running).await??.batches, 0);
    Ok(())
}

async fn in_time<T>(task: tokio::task::JoinHandle<T>) -> Result<T> {
    Ok(tokio::time::timeout(testkit::PATIENCE, task).await??)
}
