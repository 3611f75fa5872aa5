//! Writing events.

use std::time::Duration;

use anyhow::Result;
use pgq::{NewEvent, Time, producer};
use skytools::ErrorKind;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, data, on_both};

on_both!(
    events_share_the_fate_of_their_transaction,
    bulk_keeps_the_order,
    bulk_keeps_given_ids_and_times,
    the_limit_per_transaction_holds,
    a_disabled_queue_refuses,
    an_unknown_queue_is_named,
    a_plain_writer_can_insert_in_bulk,
    a_refused_bulk_leaves_the_connection_in_step,
    a_queue_dropped_before_the_rows_arrive_is_named,
);

async fn events_share_the_fate_of_their_transaction(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let tx = f.client.transaction().await?;
    producer::insert_event(&tx, QUEUE, &NewEvent::new("t", "rolled back")).await?;
    tx.rollback().await?;
    let mut tx = f.client.transaction().await?;
    producer::insert_event(&tx, QUEUE, &NewEvent::new("t", "kept")).await?;
    producer::insert_events(&mut tx, QUEUE, [NewEvent::new("t", "kept, too")]).await?;
    let savepoint = tx.transaction().await?;
    producer::insert_event(&savepoint, QUEUE, &NewEvent::new("t", "savepoint rolled back")).await?;
    savepoint.rollback().await?;
    tx.commit().await?;
    f.tick().await?;
    let (_, events) = f.read().await?;
    assert_eq!(data(&events), ["kept", "kept, too"]);
    Ok(())
}

async fn bulk_keeps_the_order(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let texts: Vec<String> = (0..5000).map(|n| format!("{n} {}", "x".repeat(n % 300))).collect();
    let events = texts.iter().map(|t| NewEvent::new("bulk", t.as_str()).extra3(""));
    assert_eq!(producer::insert_events(&mut f.client, QUEUE, events).await?, 5000);
    assert_eq!(producer::insert_events(&mut f.client, QUEUE, []).await?, 0);
    f.tick().await?;
    let (_, events) = f.read().await?;
    assert_eq!(data(&events), texts);
    assert!(events.windows(2).all(|w| w[0].id() < w[1].id() && w[0].time() == w[1].time()));
    assert_eq!((events[0].extra2(), events[0].extra3()), (None, Some("")));
    Ok(())
}

async fn bulk_keeps_given_ids_and_times(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let time = Time::from_unix_micros(1_234_567_890_123_456);
    let events = [
        NewEvent::new("t", "b").id(70).time(time),
        NewEvent::new("t", "a").id(7).time(Time::INFINITY),
        NewEvent::new("t", "c").id(700).time(Time::NEG_INFINITY),
    ];
    producer::insert_events(&mut f.client, QUEUE, events).await?;
    let id =
        producer::insert_event(&f.client, QUEUE, &NewEvent::new("t", "single").id(50).time(time)).await?;
    assert_eq!(id, 50);
    let mixed = [NewEvent::empty().id(1), NewEvent::empty()];
    let error = producer::insert_events(&mut f.client, QUEUE, mixed).await.expect_err("mixed");
    assert_eq!(error.kind(), ErrorKind::Usage);
    f.tick().await?;
    let (_, events) = f.read().await?;
    let seen: Vec<_> = events.iter().map(|e| (e.id(), e.data(), e.time())).collect();
    assert_eq!(
        seen,
        [
            (7, Some("a"), Time::INFINITY),
            (50, Some("single"), time),
            (70, Some("b"), time),
            (700, Some("c"), Time::NEG_INFINITY)
        ]
    );
    Ok(())
}

async fn the_limit_per_transaction_holds(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.client.execute("update pgq.queue set queue_per_tx_limit = 2", &[]).await?;
    let mut tx = f.client.transaction().await?;
    let three = ["1", "2", "3"].map(|t| NewEvent::new("t", t));
    let error = producer::insert_events(&mut tx, QUEUE, three.clone()).await.expect_err("three");
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains(QUEUE), "{error}");
    // The caller's transaction goes on.
    assert_eq!(producer::insert_events(&mut tx, QUEUE, three[..2].to_vec()).await?, 2);
    tx.commit().await?;
    f.tick().await?;
    let (_, events) = f.read().await?;
    assert_eq!(data(&events), ["1", "2"]);

    let tx = f.client.transaction().await?;
    producer::insert_event(&tx, QUEUE, &three[0]).await?;
    producer::insert_event(&tx, QUEUE, &three[1]).await?;
    let error = producer::insert_event(&tx, QUEUE, &three[2]).await.expect_err("the third");
    assert_eq!(error.kind(), ErrorKind::State);
    Ok(())
}

async fn a_disabled_queue_refuses(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.client.execute("update pgq.queue set queue_disable_insert = true", &[]).await?;
    let event = NewEvent::new("t", "x");
    let error = producer::insert_event(&f.client, QUEUE, &event).await.expect_err("single");
    assert_eq!(error.kind(), ErrorKind::State, "{}", error.chain());
    let error = producer::insert_events(&mut f.client, QUEUE, [event.clone()]).await.expect_err("bulk");
    assert_eq!(error.kind(), ErrorKind::State, "{}", error.chain());
    // A cascade's worker writes all the same.
    f.client.batch_execute("set session_replication_role = replica").await?;
    producer::insert_event(&f.client, QUEUE, &event).await?;
    producer::insert_events(&mut f.client, QUEUE, [event]).await?;
    Ok(())
}

async fn an_unknown_queue_is_named(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let event = NewEvent::new("t", "x");
    let error = producer::insert_event(&f.client, "nosuch", &event).await.expect_err("single");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    let error = producer::insert_events(&mut f.client, "nosuch", [event]).await.expect_err("bulk");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain());
    assert!(error.to_string().contains("nosuch"), "{error}");
    Ok(())
}

async fn a_plain_writer_can_insert_in_bulk(schema: Schema) -> Result<()> {
    // The roles are cluster-wide, and so is this one.
    let cluster = testkit::own_cluster(|b| b).await?;
    let connstr = match schema {
        Schema::Ours => testkit::database_on(&cluster, "writers")?,
        Schema::Original => {
            cluster.create_database("writers")?;
            cluster.psql("writers", "create extension pgq")?;
            cluster.connstr("writers")
        }
    };
    let mut client = testkit::connect(&connstr).await?;
    pgq::queue::create_queue(&client, QUEUE).await?;
    pgq::queue::register_consumer(&client, QUEUE, CONSUMER).await?;
    client.batch_execute("create role app in role pgq_writer; set role app").await?;
    let texts: Vec<String> = (0..2500).map(|n| format!("{n}\u{1F600}\"'{{}},\\")).collect();
    let events = texts.iter().map(|t| NewEvent::empty().data(t.as_str()).extra1(""));
    assert_eq!(producer::insert_events(&mut client, QUEUE, events).await?, 2500);
    let kept = producer::insert_events(&mut client, QUEUE, [NewEvent::new("t", "d").id(3)]).await;
    assert_eq!(kept.expect_err("ids need INSERT").kind(), ErrorKind::Permission);
    client.batch_execute("reset role").await?;
    pgq::queue::force_tick(&client, QUEUE).await?;
    pgq::queue::ticker(&client, QUEUE).await?;
    let info = pgq::batch::next_batch(&client, QUEUE, CONSUMER, &pgq::batch::BatchLimits::default())
        .await?
        .expect("a batch");
    let events = crate::fixture::read(&client, info.batch_id, None).await?;
    assert_eq!(data(&events), texts);
    assert_eq!((events[0].ev_type(), events[0].extra1(), events[0].extra2()), (None, Some(""), None));
    Ok(())
}

#[tokio::test]
async fn one_call_returns_the_ids() -> Result<()> {
    let f = Fixture::new(Schema::Ours).await?;
    let events = [
        NewEvent::new("t", "first").extra2("x"),
        NewEvent::empty(),
        NewEvent::new("t", "{\"a,\\\"b}\u{1F600}").extra4(""),
    ];
    let ids = producer::insert_events_with_ids(&f.client, QUEUE, &events).await?;
    assert_eq!(ids.len(), 3);
    assert!(producer::insert_events_with_ids(&f.client, QUEUE, &[]).await?.is_empty());
    f.tick().await?;
    let (_, read) = f.read().await?;
    assert_eq!(read.iter().map(pgq::Event::id).collect::<Vec<_>>(), ids);
    assert_eq!(
        read.iter().map(pgq::Event::data).collect::<Vec<_>>(),
        [Some("first"), None, Some("{\"a,\\\"b}\u{1F600}")]
    );
    assert_eq!((read[0].extra2(), read[1].ev_type(), read[2].extra4()), (Some("x"), None, Some("")));

    let kept = producer::insert_events_with_ids(&f.client, QUEUE, &[NewEvent::new("t", "d").id(3)]).await;
    assert_eq!(kept.expect_err("ids are not kept").kind(), ErrorKind::Usage);
    let unknown = producer::insert_events_with_ids(&f.client, "nobody", &events).await;
    assert_eq!(unknown.expect_err("no such queue").kind(), ErrorKind::NotFound);
    f.client.batch_execute("update pgq.queue set queue_per_tx_limit = 2").await?;
    let limited = producer::insert_events_with_ids(&f.client, QUEUE, &events).await;
    assert_eq!(limited.expect_err("three are too many").kind(), ErrorKind::State);
    Ok(())
}

async fn a_refused_bulk_leaves_the_connection_in_step(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.client.batch_execute("begin read only").await?;
    let refused = producer::insert_events(&mut f.client, QUEUE, [NewEvent::new("t", "x")]).await;
    let error = refused.expect_err("the transaction is read-only");
    assert!(
        error.chain().to_string().contains(QUEUE) && error.chain().to_string().contains("read-only"),
        "{}",
        error.chain()
    );
    f.client.batch_execute("rollback").await?;
    for n in 1..=3 {
        assert_eq!(f.client.query_one("select $1::int4", &[&n]).await?.get::<_, i32>(0), n);
    }
    Ok(())
}

async fn a_queue_dropped_before_the_rows_arrive_is_named(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let mut other = f.db.connect().await?;
    let dropping = other.transaction().await?;
    dropping.execute("select pgq.drop_queue($1, true)", &[&QUEUE]).await?;
    let pid: i32 = f.client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let write = async { producer::insert_events(&mut f.client, QUEUE, [NewEvent::new("t", "x")]).await };
    let dropped = async {
        let waits = async || {
            let sql = "select 1 from pg_locks where pid = $1 and not granted";
            Ok(dropping.query_opt(sql, &[&pid]).await?)
        };
        testkit::wait_for("the writer waits for the lock", Duration::from_secs(60), waits).await?;
        anyhow::Ok(dropping.commit().await?)
    };
    let (written, dropped) = tokio::join!(write, dropped);
    dropped?;
    let error = written.expect_err("the queue is gone");
    assert!(error.chain().to_string().contains(QUEUE), "{}", error.chain());
    assert_eq!(f.client.query_one("select 42", &[]).await?.get::<_, i32>(0), 42);
    Ok(())
}
