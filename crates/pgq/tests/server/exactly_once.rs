//! Consumers whose work and position commit together.

use std::time::Duration;

use anyhow::{Context, Result};
use pgq::consumer::{Batch, CallbackResult, Consumer, ConsumerStats};
use pgq::queue;
use skytools::ErrorKind;
use skytools::db::ConnectString;
use testkit::{PATIENCE, TestDb, wait_for};
use tokio_postgres::{Client, Transaction};

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, on_both};

on_both!(
    work_and_position_commit_together,
    a_lost_batch_rolls_the_work_back,
    another_database_remembers_the_tick,
    a_tick_of_another_source_is_no_done_batch,
    positions_of_earlier_versions_are_taken_over,
    registering_anew_forgets_the_position
);

fn never() -> impl Future<Output = ()> {
    std::future::pending()
}

/// What a position's error says has to be run.
async fn forget(target: &Client) -> Result<()> {
    let tick = format!("tick of {QUEUE}");
    target.execute("select pgq_ext.set_last_tick($1, $2, null)", &[&CONSUMER, &tick]).await?;
    Ok(())
}

/// The position that the target has, without its time.
async fn stored(target: &Client) -> Result<Option<i64>> {
    let tick = format!("tick of {QUEUE}");
    Ok(target.query_one("select pgq_ext.get_last_tick($1, $2)", &[&CONSUMER, &tick]).await?.try_get(0)?)
}

/// Counts the events of all batches that are there into the target's table `done`; returns what it came to.
async fn count(consumer: &Consumer, target: &ConnectString) -> skytools::Result<ConsumerStats> {
    let consumer = consumer.clone().until_idle(true);
    consumer
        .for_each_batch_to(target, never(), async |batch: &mut Batch, tx: &mut Transaction<'_>| {
            while batch.next_event().await?.is_some() {
                tx.execute("insert into done values (1)", &[]).await?;
            }
            Ok(())
        })
        .await
}

/// A target, and a table in it.
async fn counting_target() -> Result<(TestDb, Client, ConnectString)> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    client.batch_execute("create table done (n int)").await?;
    let connect = ConnectString::parse(db.connstr())?;
    Ok((db, client, connect))
}

async fn done(target: &Client) -> Result<i64> {
    Ok(target.query_one("select count(*) from done", &[]).await?.try_get(0)?)
}

async fn a_tick_of_another_source_is_no_done_batch(schema: Schema) -> Result<()> {
    let (_db, target, connect) = counting_target().await?;
    let mut first = Fixture::new(schema).await?;
    first.numbered(1).await?;
    assert_eq!(count(&first.consumer()?, &connect).await?.events, 1);

    // The same names in another database: its batch is 1 to 2, too.
    let mut second = Fixture::new(schema).await?;
    second.numbered(10).await?;
    let error = count(&second.consumer()?, &connect).await.expect_err("another source");
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.chain());
    assert!(error.to_string().contains("lost its position"), "{error}");
    assert!(error.hint_text().is_some_and(|h| h.contains("a consumer of another name")), "{error:?}");
    assert_eq!(done(&target).await?, 1);
    // A name of its own, and a queue of another name, have positions of their own.
    let own = Consumer::new(second.connect_string()?, QUEUE, "of its own");
    own.register_for(&connect).await?;
    second.numbered(100).await?;
    assert_eq!(count(&own, &connect).await?.events, 100);
    queue::create_queue(&first.client, "other").await?;
    let other = Consumer::new(first.connect_string()?, "other", CONSUMER);
    assert!(other.register().await?);
    pgq::producer::insert_event(&first.client, "other", &pgq::NewEvent::new("n", "1")).await?;
    queue::force_tick(&first.client, "other").await?;
    queue::ticker(&first.client, "other").await?.context("a tick")?;
    assert_eq!(count(&other, &connect).await?.events, 1);
    first.numbered(1000).await?;
    assert_eq!(count(&first.consumer()?, &connect).await?.events, 1000);
    assert_eq!(done(&target).await?, 1 + 100 + 1 + 1000);

    // The queue was made anew: its ticks count from 1 again.
    for _ in 0..2 {
        queue::unregister_consumer(&first.client, QUEUE, CONSUMER).await?;
        queue::drop_queue(&first.client, QUEUE, true).await?;
        queue::create_queue(&first.client, QUEUE).await?;
        queue::register_consumer(&first.client, QUEUE, CONSUMER).await?;
        first.numbered(5).await?;
        first.numbered(5).await?;
        let error = count(&first.consumer()?, &connect).await.expect_err("a queue made anew");
        assert!(error.to_string().contains("lost its position"), "{error}");
    }
    forget(&target).await?;
    assert_eq!(count(&first.consumer()?, &connect).await?.events, 10);
    Ok(())
}

async fn positions_of_earlier_versions_are_taken_over(schema: Schema) -> Result<()> {
    let (_db, target, connect) = counting_target().await?;
    let mut f = Fixture::new(schema).await?;
    let unnamed = async |tick: i64| -> Result<()> {
        target.execute("select pgq_ext.set_last_tick($1, $2)", &[&CONSUMER, &tick]).await?;
        Ok(())
    };
    // The position fits: the batch after it is next.
    f.numbered(1).await?;
    unnamed(1).await?;
    assert_eq!(count(&f.consumer()?, &connect).await?.events, 1);
    let left: Option<i64> =
        target.query_one("select pgq_ext.get_last_tick($1)", &[&CONSUMER]).await?.try_get(0)?;
    assert_eq!((left, stored(&target).await?), (None, Some(2)));
    // Another queue's is not touched from now on.
    unnamed(77).await?;
    f.numbered(1).await?;
    assert_eq!(count(&f.consumer()?, &connect).await?.events, 1);
    let left: Option<i64> =
        target.query_one("select pgq_ext.get_last_tick($1)", &[&CONSUMER]).await?.try_get(0)?;
    assert_eq!((left, stored(&target).await?), (Some(77), Some(3)));

    // Whose the end of this batch is cannot be told: asked, and believed.
    forget(&target).await?;
    unnamed(4).await?;
    f.numbered(1).await?;
    let error = count(&f.consumer()?, &connect).await.expect_err("whose tick is it?");
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.chain());
    let hint = error.hint_text().context("a hint")?;
    let told = hint.split('`').nth(1).context("a statement")?;
    let wiped = "delete from pgq_ext.completed_tick where subconsumer_id like 'time of %'";
    target.execute(wiped, &[]).await?;
    target.batch_execute(told).await?;
    let totals = count(&f.consumer()?, &connect).await?;
    assert_eq!((totals.batches, totals.events), (1, 0), "{totals:?}");
    let told = hint.split('`').nth(3).context("another statement")?;
    target.batch_execute(told).await?;
    assert_eq!(done(&target).await?, 2);

    // An earlier version that is at work keeps this one away.
    target.batch_execute("begin").await?;
    target
        .query(
            "select pg_advisory_xact_lock(hashtextextended('pgq_ext.completed_tick ' || $1, 0))",
            &[&CONSUMER],
        )
        .await?;
    f.numbered(1).await?;
    let mut session = f.consumer()?.session();
    let waiting = f.consumer()?.until_idle(true).backoff(Duration::from_millis(1), Duration::from_millis(1));
    assert!(session.next_batch().await?.is_some());
    let (ended, freed) = tokio::join!(count(&waiting, &connect), async {
        wait_for("this version to be refused", PATIENCE, || async {
            Ok((waiting.stats().errors > 0).then_some(()))
        })
        .await?;
        anyhow::Ok(target.batch_execute("rollback").await?)
    });
    freed?;
    assert_eq!(ended?.events, 1);
    Ok(())
}

async fn registering_anew_forgets_the_position(schema: Schema) -> Result<()> {
    let (_db, target, connect) = counting_target().await?;
    let mut f = Fixture::new(schema).await?;
    let consumer = f.consumer()?;
    assert!(!consumer.register_for(&connect).await?);
    f.numbered(1).await?;
    assert_eq!(count(&consumer, &connect).await?.events, 1);
    assert!(!consumer.register_for(&connect).await?);
    assert_eq!(stored(&target).await?, Some(2), "registered already: the position stays");

    // The queue made anew, and registered for the target: nothing of it is taken for done.
    queue::unregister_consumer(&f.client, QUEUE, CONSUMER).await?;
    queue::drop_queue(&f.client, QUEUE, true).await?;
    queue::create_queue(&f.client, QUEUE).await?;
    target.execute("select pgq_ext.set_last_tick($1, 2)", &[&CONSUMER]).await?;
    assert!(consumer.register_for(&connect).await?);
    assert_eq!(stored(&target).await?, None);
    f.numbered(10).await?;
    assert_eq!(count(&consumer, &connect).await?.events, 11, "stats are those of both rounds");
    assert_eq!(done(&target).await?, 11);

    assert!(consumer.unregister_for(&connect).await?);
    assert!(!consumer.unregister_for(&connect).await?);
    let left: i64 = target.query_one("select count(*) from pgq_ext.completed_tick", &[]).await?.try_get(0)?;
    assert_eq!(left, 0);

    // Without schema pgq_ext nothing is registered.
    let bare_db = testkit::empty_database().await?;
    let bare = ConnectString::parse(bare_db.connstr())?;
    let error = consumer.register_for(&bare).await.expect_err("no schema pgq_ext");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    assert!(queue::consumer_info(&f.client, QUEUE, CONSUMER).await?.is_none());
    Ok(())
}

async fn work_and_position_commit_together(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.client.batch_execute("create table done (n int, batch int8)").await?;
    for _ in 0..5 {
        f.numbered(200).await?;
    }
    let consumer = f.consumer()?.until_idle(true).backoff(Duration::from_millis(1), Duration::from_millis(1));
    let mut round = 0;
    let totals = consumer
        .for_each_batch_in_transaction(never(), async |batch, tx| {
            round += 1;
            while let Some(event) = batch.next_event().await? {
                let n: i32 = event.data().unwrap_or_default().parse()?;
                tx.execute("insert into done values ($1, $2)", &[&n, &batch.info().batch_id]).await?;
                // Every other round the server cuts the working connection in the middle.
                if round % 2 == 0 && n == 100 {
                    let pid: i32 = tx.query_one("select pg_backend_pid()", &[]).await?.get(0);
                    f.client.execute("select pg_terminate_backend($1)", &[&pid]).await?;
                }
            }
            Ok(())
        })
        .await?;
    assert_eq!((totals.batches, totals.events, totals.errors), (5, 1000, round - 5));
    assert!(round > 5);
    let sums = "select format('%s %s %s', count(*), count(distinct (n, batch)), sum(n)) from done";
    assert_eq!(f.text(sums).await?, format!("1000 1000 {}", 5 * 199 * 100));
    Ok(())
}

async fn a_lost_batch_rolls_the_work_back(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.client.batch_execute("create table done (n int)").await?;
    f.numbered(10).await?;
    let consumer = f.consumer()?.until_idle(true);
    let error = consumer
        .for_each_batch_in_transaction(never(), async |batch, tx| {
            while batch.next_event().await?.is_some() {
                tx.execute("insert into done values (1)", &[]).await?;
            }
            // An operator moves the consumer meanwhile.
            queue::register_consumer_at(&f.client, QUEUE, CONSUMER, 2).await?;
            Ok(())
        })
        .await
        .expect_err("the batch is gone");
    assert_eq!(error.kind(), ErrorKind::State, "{}", error.chain());
    assert_eq!(f.text("select count(*)::text from done").await?, "0");
    Ok(())
}

async fn another_database_remembers_the_tick(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let target_db = testkit::database().await?;
    let target = target_db.connect().await?;
    let connect = ConnectString::parse(target_db.connstr())?;
    let consumer = f.consumer()?.until_idle(true).backoff(Duration::from_millis(1), Duration::from_millis(1));
    for _ in 0..3 {
        f.numbered(100).await?;
    }
    let bare_db = testkit::empty_database().await?;
    let bare = ConnectString::parse(bare_db.connstr())?;
    let untracked = consumer.for_each_batch_to(&bare, never(), async |_, _| Ok(())).await;
    let error = untracked.expect_err("no schema pgq_ext");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    assert!(error.hint_text().is_some_and(|h| h.contains("pgq_ext")));

    target.batch_execute("create table done (n int, batch int8)").await?;
    for (name, statement) in pgq::sql::TRACKING_STATEMENTS {
        target.prepare(statement).await.with_context(|| format!("statement {name}"))?;
    }
    let mut cut = true;
    let mut work = async |batch: &mut Batch, tx: &mut Transaction<'_>| -> CallbackResult {
        while let Some(event) = batch.next_event().await? {
            let n: i32 = event.data().unwrap_or_default().parse()?;
            tx.execute("insert into done values ($1, $2)", &[&n, &batch.info().tick_id]).await?;
            if n == 50 && std::mem::take(&mut cut) {
                let pid: i32 = tx.query_one("select pg_backend_pid()", &[]).await?.get(0);
                target.execute("select pg_terminate_backend($1)", &[&pid]).await?;
            }
        }
        Ok(())
    };
    let totals = consumer.for_each_batch_to(&connect, never(), &mut work).await?;
    assert_eq!((totals.batches, totals.events, totals.errors), (3, 300, 1));

    // A crash between the target's commit and finish_batch: the queue hands out the last batch once more.
    queue::register_consumer_at(&f.client, QUEUE, CONSUMER, 3).await?;
    let totals = consumer.for_each_batch_to(&connect, never(), &mut work).await?;
    assert_eq!((totals.batches, totals.events, totals.last_tick), (4, 300, Some(4)));
    let count: i64 =
        target.query_one("select count(*) from (select distinct n, batch from done) d", &[]).await?.get(0);
    let all: i64 = target.query_one("select count(*) from done", &[]).await?.get(0);
    assert_eq!((count, all), (300, 300));

    // While another process has a batch, this one waits; and it has its own flushed, whatever the database says.
    target
        .batch_execute(&format!("alter database {} set synchronous_commit = off", target_db.name()))
        .await?;
    target.batch_execute("begin").await?;
    assert!(target.query_one(pgq::sql::LOCK_LAST_TICK, &[&CONSUMER, &QUEUE]).await?.get::<_, bool>(0));
    f.numbered(1).await?;
    let flushed = async |batch: &mut Batch, tx: &mut Transaction<'_>| -> CallbackResult {
        while batch.next_event().await?.is_some() {}
        let commit: String = tx.query_one("select current_setting('synchronous_commit')", &[]).await?.get(0);
        assert_eq!(commit, "local");
        Ok(())
    };
    let second = f.consumer()?.until_idle(true).backoff(Duration::from_millis(1), Duration::from_millis(1));
    let (totals, freed) = tokio::join!(second.for_each_batch_to(&connect, never(), flushed), async {
        wait_for("the second to be refused", PATIENCE, || async {
            Ok((second.stats().errors > 0).then_some(()))
        })
        .await?;
        anyhow::Ok(target.batch_execute("rollback").await?)
    });
    freed?;
    let totals = totals?;
    assert!(totals.batches == 1 && totals.errors > 0, "{totals:?}");

    // Two batches back is no crash of ours: somebody restored something.
    queue::register_consumer_at(&f.client, QUEUE, CONSUMER, 2).await?;
    let error = consumer.for_each_batch_to(&connect, never(), &mut work).await.expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.chain());
    assert!(error.to_string().contains("lost its position"), "{error}");

    // A tick says that all is done, so nothing can be put back.
    forget(&target).await?;
    let retrying = async |batch: &mut Batch, _: &mut Transaction<'_>| {
        batch.retry_whole(Duration::ZERO);
        Ok(())
    };
    let error = consumer.for_each_batch_to(&connect, never(), retrying).await.expect_err("retry");
    assert_eq!(error.kind(), ErrorKind::Usage, "{}", error.chain());
    Ok(())
}
