//! Connections that break.

use std::time::Duration;

use anyhow::Result;
use pgq::batch::{self, BatchLimits};
use pgq::consumer::{Consumer, Outcome};
use skytools::ErrorKind;
use skytools::db::ConnectString;
use testkit::faults::Proxy;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema};

#[tokio::test]
async fn a_cut_in_the_middle_of_a_batch_is_an_error_not_an_end() -> Result<()> {
    let mut f = Fixture::new(Schema::Ours).await?;
    f.numbered(50_000).await?;
    let proxy = Proxy::start(testkit::shared_cluster()?, f.db.name())?;
    let far = testkit::connect(&proxy.connstr()).await?;
    let info = batch::next_batch(&far, QUEUE, CONSUMER, &BatchLimits::default()).await?.expect("a batch");
    let mut stream = batch::events(&far, info.batch_id, None).await?;
    for _ in 0..10 {
        stream.next_event().await?.expect("an event");
    }
    proxy.cut();
    let error = loop {
        match stream.next_event().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Connection, "{}", error.chain());
    assert!(stream.received() < 50_000);
    Ok(())
}

#[tokio::test]
async fn the_consumer_comes_back_after_cuts() -> Result<()> {
    let mut f = Fixture::new(Schema::Ours).await?;
    for _ in 0..4 {
        f.numbered(20_000).await?;
    }
    let proxy = Proxy::start(testkit::shared_cluster()?, f.db.name())?;
    let consumer = Consumer::new(ConnectString::parse(&proxy.connstr())?, QUEUE, CONSUMER)
        .until_idle(true)
        .backoff(Duration::from_millis(1), Duration::from_millis(20));
    let mut seen = vec![0_u32; 20_000];
    let mut cuts = 0;
    let totals = consumer
        .for_each_event(std::future::pending(), async |event| {
            let n: usize = event.data().unwrap_or_default().parse()?;
            seen[n] += 1;
            if n == 7_777 && cuts < 3 {
                cuts += 1;
                proxy.cut();
            }
            Ok(Outcome::Done)
        })
        .await?;
    assert_eq!((totals.batches, totals.events, totals.errors), (4, 80_000, 3));
    assert!(seen.iter().all(|&n| n >= 4), "at least once");
    assert!(seen[19_999] == 4, "the last event is only reached when nothing breaks");
    Ok(())
}
