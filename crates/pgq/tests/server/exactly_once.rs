//! Consumers whose work and position commit together.

use std::time::Duration;

use anyhow::{Context, Result};
use pgq::consumer::{Batch, CallbackResult};
use pgq::queue;
use skytools::ErrorKind;
use skytools::db::ConnectString;
use testkit::{PATIENCE, wait_for};
use tokio_postgres::Transaction;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, on_both};

on_both!(
    work_and_position_commit_together,
    a_lost_batch_rolls_the_work_back,
    another_database_remembers_the_tick
);

fn never() -> impl Future<Output = ()> {
    std::future::pending()
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
    assert!(target.query_one(pgq::sql::LOCK_LAST_TICK, &[&CONSUMER]).await?.get::<_, bool>(0));
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
    target.execute("update pgq_ext.completed_tick set last_tick_id = 2", &[]).await?;
    let retrying = async |batch: &mut Batch, _: &mut Transaction<'_>| {
        batch.retry_whole(Duration::ZERO);
        Ok(())
    };
    let error = consumer.for_each_batch_to(&connect, never(), retrying).await.expect_err("retry");
    assert_eq!(error.kind(), ErrorKind::Usage, "{}", error.chain());
    Ok(())
}
