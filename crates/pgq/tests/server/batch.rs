//! Opening, reading, finishing batches.

use anyhow::Result;
use pgq::batch::{self, BatchLimits, Interval};
use pgq::{NewEvent, producer};
use skytools::ErrorKind;

use crate::fixture::{CONSUMER, Fixture, QUEUE, Schema, data, on_both, read};

on_both!(
    every_text_arrives_byte_for_byte,
    a_batch_is_repeated_until_finished,
    nothing_new_is_no_batch,
    filters,
    limits_hold_batches_back,
    a_backlog_is_one_batch,
    twenty_megabytes_in_one_value,
    retried_events_come_again,
    unknown_names_are_clear_errors,
    an_unread_stream_frees_its_connection,
    a_batch_describes_itself,
);

async fn every_text_arrives_byte_for_byte(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    let controls: String = (1..=0x1f_u8).chain([0x7f]).map(char::from).collect();
    let awkward = [
        "",
        " leading and trailing ",
        "\\",
        "\\N",
        "\\.",
        "NULL",
        "'; drop table x; --",
        "\"q\"",
        "tab\tnew\nline\r\n",
        "\u{FEFF}\u{1F600}\u{10FFFF}é\u{301}",
        controls.as_str(),
    ];
    let mut expected = Vec::new();
    for (i, text) in awkward.iter().enumerate() {
        let mut event = NewEvent::empty();
        // Every column gets the text once, next to NULLs.
        for column in 0..6 {
            if (i + column) % 3 != 0 {
                event = match column {
                    0 => event.with_type(*text),
                    1 => event.data(*text),
                    2 => event.extra1(*text),
                    3 => event.extra2(*text),
                    4 => event.extra3(*text),
                    _ => event.extra4(*text),
                };
            }
        }
        let id = producer::insert_event(&f.client, QUEUE, &event).await?;
        expected.push((id, event));
    }
    f.tick().await?;
    let (info, events) = f.read().await?;
    assert_eq!(events.len(), expected.len());
    for (event, (id, new)) in events.iter().zip(&expected) {
        assert_eq!(event.id(), *id);
        assert_eq!(event.texts(), new.texts());
        assert_eq!(event.retry(), None);
    }
    // Time and transaction as the server itself shows them.
    let sql = "select (extract(epoch from ev_time) * 1000000)::int8, ev_txid from pgq.get_batch_events($1)";
    for (row, event) in f.client.query(sql, &[&info.batch_id]).await?.iter().zip(&events) {
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (event.time().unix_micros(), event.txid()));
    }
    Ok(())
}

async fn a_batch_is_repeated_until_finished(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(3).await?;
    let (first, events) = f.read().await?;
    assert_eq!(data(&events), ["0", "1", "2"]);
    assert!(events.windows(2).all(|w| w[0].id() < w[1].id()));
    assert!(events.iter().all(|e| e.txid() == events[0].txid()));
    f.numbered(1).await?;
    let (again, events) = f.read().await?;
    assert_eq!(again, first);
    assert_eq!(events.len(), 3);
    batch::finish_batch(&f.client, first.batch_id).await?;
    let error = batch::finish_batch(&f.client, first.batch_id).await.expect_err("finished twice");
    assert_eq!(error.kind(), ErrorKind::State);
    let (second, events) = f.read().await?;
    assert_eq!(data(&events), ["0"]);
    assert_eq!(second.prev_tick_id, first.tick_id);
    assert_eq!(second.prev_tick_time, first.tick_time);
    Ok(())
}

async fn nothing_new_is_no_batch(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    let limits = BatchLimits::default();
    assert_eq!(batch::next_batch(&f.client, QUEUE, CONSUMER, &limits).await?, None);
    // A tick without events is a batch without events.
    f.tick().await?;
    let (info, events) = f.read().await?;
    assert!(events.is_empty());
    batch::finish_batch(&f.client, info.batch_id).await?;
    assert_eq!(batch::next_batch(&f.client, QUEUE, CONSUMER, &limits).await?, None);
    Ok(())
}

async fn filters(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(100).await?;
    let info = f.next().await?;
    let some =
        read(&f.client, info.batch_id, Some("ev_data::int % 10 = 3 or ev_type = 'x' -- comment")).await?;
    assert_eq!(data(&some), ["3", "13", "23", "33", "43", "53", "63", "73", "83", "93"]);
    let none = read(&f.client, info.batch_id, Some("false")).await?;
    assert!(none.is_empty());
    let error =
        batch::events(&f.client, info.batch_id, Some("no_such_column = 1")).await.expect_err("bad filter");
    assert!(error.to_string().contains(&info.batch_id.to_string()), "{error}");
    assert!(error.chain().contains("no_such_column"), "{}", error.chain());
    // An expression that fails on some row fails the stream, not the connection.
    let mut stream = batch::events(&f.client, info.batch_id, Some("1 / (ev_data::int - 50) >= 0")).await?;
    let mut outcome = stream.next_event().await;
    while let Ok(Some(_)) = outcome {
        outcome = stream.next_event().await;
    }
    let error = outcome.expect_err("division by zero");
    assert!(error.chain().contains("division by zero"), "{}", error.chain());
    assert!(stream.next_event().await?.is_none(), "nothing follows an error");
    assert_eq!(read(&f.client, info.batch_id, None).await?.len(), 100);
    Ok(())
}

async fn limits_hold_batches_back(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    for _ in 0..3 {
        f.numbered(2).await?;
    }
    let lag = BatchLimits { min_lag: Some(Interval::new("1 hour")), ..BatchLimits::default() };
    assert_eq!(batch::next_batch(&f.client, QUEUE, CONSUMER, &lag).await?, None);
    let span = BatchLimits { min_interval: Some(Interval::new("1 hour")), ..BatchLimits::default() };
    assert_eq!(batch::next_batch(&f.client, QUEUE, CONSUMER, &span).await?, None);
    let bad = BatchLimits { min_lag: Some(Interval::new("soon")), ..BatchLimits::default() };
    let error = batch::next_batch(&f.client, QUEUE, CONSUMER, &bad).await.expect_err("no interval");
    assert!(error.chain().contains("soon"), "{}", error.chain());
    // Every forced tick moves the sequence by thousands, so any count is reached only by joining ticks.
    let first = f.text("select max(tick_event_seq)::text from pgq.tick").await?.parse::<i32>()?;
    let count = BatchLimits { min_count: Some(first - 1), ..BatchLimits::default() };
    let joined = batch::next_batch(&f.client, QUEUE, CONSUMER, &count).await?.expect("joined ticks");
    assert_eq!(joined.tick_id, 4);
    assert_eq!(read(&f.client, joined.batch_id, None).await?.len(), 6);
    Ok(())
}

async fn a_backlog_is_one_batch(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let next = async |f: &Fixture, most| batch::next_backlog(&f.client, QUEUE, CONSUMER, most).await;
    assert_eq!(next(&f, i32::MAX).await?, None);
    for _ in 0..3 {
        f.numbered(2).await?;
    }
    let all = next(&f, i32::MAX).await?.expect("three ticks");
    assert_eq!((all.prev_tick_id, all.tick_id), (1, 4));
    assert_eq!(next(&f, 1).await?.as_ref(), Some(&all), "an open batch stays what it is");
    assert_eq!(read(&f.client, all.batch_id, None).await?.len(), 6);
    batch::finish_batch(&f.client, all.batch_id).await?;
    assert_eq!(next(&f, i32::MAX).await?, None);
    // Ticks without events are joined as well.
    f.tick().await?;
    f.tick().await?;
    let empty = next(&f, i32::MAX).await?.expect("ticks");
    assert_eq!((empty.prev_tick_id, empty.tick_id), (4, 6));
    batch::finish_batch(&f.client, empty.batch_id).await?;
    // Too much for one batch: it ends at the first tick that has enough.
    f.numbered(2).await?;
    f.numbered(2).await?;
    let some = next(&f, 1).await?.expect("a batch");
    assert_eq!((some.prev_tick_id, some.tick_id), (6, 7));
    for (queue, consumer) in [("nosuch", CONSUMER), (QUEUE, "nosuch")] {
        let error = batch::next_backlog(&f.client, queue, consumer, 5).await.expect_err("not registered");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    Ok(())
}

async fn twenty_megabytes_in_one_value(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    let big = "0123456789abcdé".repeat(20 * 1024 * 1024 / 16);
    let small = NewEvent::new("small", "x");
    let events = [small.clone(), NewEvent::new("big", big.as_str()).extra4("after"), small];
    producer::insert_events(&mut f.client, QUEUE, events).await?;
    f.tick().await?;
    let (_, events) = f.read().await?;
    assert_eq!(events.len(), 3);
    assert!(events[1].data() == Some(big.as_str()), "the large value differs");
    assert_eq!((events[1].extra4(), events[2].data()), (Some("after"), Some("x")));
    Ok(())
}

async fn retried_events_come_again(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(3).await?;
    let (info, events) = f.read().await?;
    assert!(batch::event_retry(&f.client, info.batch_id, events[1].id(), 0).await?);
    assert!(!batch::event_retry(&f.client, info.batch_id, events[1].id(), 0).await?, "waiting already");
    let error = batch::event_retry(&f.client, info.batch_id, -1, 0).await.expect_err("no such event");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    batch::finish_batch(&f.client, info.batch_id).await?;
    assert_eq!(f.text("select pgq.maint_retry_events()::text").await?, "1");
    f.tick().await?;
    let (info, again) = f.read().await?;
    assert_eq!(data(&again), ["1"]);
    assert_eq!(
        (again[0].id(), again[0].time(), again[0].retry()),
        (events[1].id(), events[1].time(), Some(1))
    );
    assert!(again[0].txid() > events[1].txid());
    assert_eq!(batch::batch_retry(&f.client, info.batch_id, 3600).await?, 1);
    Ok(())
}

async fn unknown_names_are_clear_errors(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    let limits = BatchLimits::default();
    for (queue, consumer) in [("nosuch", CONSUMER), (QUEUE, "nosuch")] {
        let error = batch::next_batch(&f.client, queue, consumer, &limits).await.expect_err("not registered");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("nosuch"), "{error}");
        assert!(error.hint_text().is_some());
    }
    let error = batch::events(&f.client, 987_654, None).await.expect_err("no such batch");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("987654"), "{error}");
    assert_eq!(batch::batch_info(&f.client, 987_654).await?, None);
    Ok(())
}

async fn an_unread_stream_frees_its_connection(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(20_000).await?;
    let info = f.next().await?;
    let mut stream = batch::events(&f.client, info.batch_id, None).await?;
    stream.next_event().await?.expect("an event");
    drop(stream);
    batch::finish_batch(&f.client, info.batch_id).await?;
    Ok(())
}

async fn a_batch_describes_itself(schema: Schema) -> Result<()> {
    let mut f = Fixture::new(schema).await?;
    f.numbered(1).await?;
    let info = f.next().await?;
    let details = batch::batch_info(&f.client, info.batch_id).await?.expect("open");
    assert_eq!((details.queue.as_str(), details.consumer.as_str()), (QUEUE, CONSUMER));
    assert_eq!((details.prev_tick_id, details.tick_id), (info.prev_tick_id, info.tick_id));
    assert_eq!((details.start, details.end), (info.prev_tick_time, info.tick_time));
    assert_eq!((details.seq_start, details.seq_end), (info.prev_event_seq, info.event_seq));
    assert!(details.lag >= 0.0);
    Ok(())
}
