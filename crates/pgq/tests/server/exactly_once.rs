//! Consumers whose work and position commit together.

use std::time::Duration;

use anyhow::Result;
use pgq::queue;
use skytools::ErrorKind;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, on_both};

on_both!(work_and_position_commit_together, a_lost_batch_rolls_the_work_back);

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
