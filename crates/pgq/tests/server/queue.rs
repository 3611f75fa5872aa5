//! Administration.

use anyhow::Result;
use pgq::batch::Interval;
use pgq::queue::{self, QueueParam};
use skytools::ErrorKind;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, on_both};

on_both!(a_queue_from_creation_to_drop, a_consumer_from_registration_to_removal, parameters);

async fn a_queue_from_creation_to_drop(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    assert!(!queue::create_queue(&f.client, QUEUE).await?, "exists");
    assert!(queue::create_queue(&f.client, "another").await?);
    let names: Vec<String> = queue::queues(&f.client).await?.into_iter().map(|q| q.name).collect();
    assert_eq!(names, ["another", QUEUE]);
    f.numbered(2).await?;
    let info = queue::queue_info(&f.client, QUEUE).await?.expect("exists");
    assert_eq!((info.ntables, info.last_tick_id, info.rotation_period), (3, Some(2), 7200.0));
    assert!(!info.external_ticker && !info.ticker_paused);
    assert_eq!(queue::queue_info(&f.client, "nosuch").await?, None);

    let error = queue::drop_queue(&f.client, QUEUE, false).await.expect_err("has a consumer");
    assert_eq!(error.kind(), ErrorKind::State, "{}", error.chain());
    queue::drop_queue(&f.client, QUEUE, true).await?;
    queue::drop_queue(&f.client, "another", false).await?;
    let error = queue::drop_queue(&f.client, QUEUE, true).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    assert_eq!(queue::queues(&f.client).await?, []);
    let error = queue::force_tick(&f.client, QUEUE).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = queue::ticker(&f.client, QUEUE).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    Ok(())
}

async fn a_consumer_from_registration_to_removal(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    assert!(!queue::register_consumer(&f.client, QUEUE, CONSUMER).await?, "registered");
    f.numbered(2).await?;
    let info = queue::consumer_info(&f.client, QUEUE, CONSUMER).await?.expect("registered");
    assert_eq!((info.last_tick, info.current_batch, info.next_tick), (Some(1), None, None));
    assert!(info.pending_events.is_some_and(|n| n >= 2));
    let batch = f.next().await?;
    let info = queue::consumer_info(&f.client, QUEUE, CONSUMER).await?.expect("registered");
    assert_eq!((info.current_batch, info.next_tick), (Some(batch.batch_id), Some(2)));
    // Moving drops the open batch.
    assert!(!queue::register_consumer_at(&f.client, QUEUE, CONSUMER, 2).await?);
    assert!(queue::register_consumer_at(&f.client, QUEUE, "second", 1).await?);
    let all = queue::consumers(&f.client, Some(QUEUE), None).await?;
    let seen: Vec<_> = all.iter().map(|c| (c.consumer.as_str(), c.last_tick, c.current_batch)).collect();
    assert_eq!(seen, [("second", Some(1), None), (CONSUMER, Some(2), None)]);
    assert_eq!(queue::consumers(&f.client, None, None).await?.len(), 2);
    let error = queue::register_consumer_at(&f.client, QUEUE, "third", 99).await.expect_err("no tick 99");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    let error = queue::register_consumer(&f.client, "nosuch", CONSUMER).await.expect_err("no queue");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    assert_eq!(queue::unregister_consumer(&f.client, QUEUE, "second").await?, 1);
    assert_eq!(queue::unregister_consumer(&f.client, QUEUE, "second").await?, 0);
    assert_eq!(queue::consumer_info(&f.client, QUEUE, "second").await?, None);
    Ok(())
}

async fn parameters(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    let params = [
        QueueParam::TickerMaxCount(7),
        QueueParam::TickerMaxLag(Interval::new("1.5 seconds")),
        QueueParam::TickerIdlePeriod(Interval::new("2 minutes")),
        QueueParam::RotationPeriod(Interval::new("1 day")),
        QueueParam::TickerPaused(true),
        QueueParam::ExternalTicker(true),
    ];
    for param in &params {
        queue::set_config(&f.client, QUEUE, param).await?;
    }
    let info = queue::queue_info(&f.client, QUEUE).await?.expect("exists");
    assert_eq!((info.ticker_max_count, info.ticker_paused, info.external_ticker), (7, true, true));
    assert_eq!((info.ticker_max_lag, info.ticker_idle_period, info.rotation_period), (1.5, 120.0, 86400.0));
    let bad = QueueParam::TickerMaxLag(Interval::new("now and then"));
    let error = queue::set_config(&f.client, QUEUE, &bad).await.expect_err("no interval");
    assert!(error.to_string().contains("ticker_max_lag"), "{error}");
    let error = queue::set_config(&f.client, "nosuch", &params[0]).await.expect_err("no queue");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    Ok(())
}
