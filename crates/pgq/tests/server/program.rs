//! A consumer in the service loop, as a daemon runs it.

use std::process::ExitCode;

use anyhow::Result;
use pgq::consumer::{self, Batch, CallbackResult, ConsumerArgs, Handler};
use pgq::queue;
use skytools::ErrorKind;
use skytools::config::Config;
use skytools::service::Signals;

use crate::fixture::{Fixture, QUEUE, Schema, on_both};

on_both!(a_daemon_from_registration_to_stop);

/// Puts the data of events with the type `n` into a table, so that the test can see them.
struct Store(tokio_postgres::Client);

impl Handler for Store {
    async fn batch(&mut self, batch: &mut Batch) -> CallbackResult {
        while let Some(event) = batch.next_event().await? {
            self.0.execute("insert into seen values ($1, $2)", &[&event.data(), &event.extra1()]).await?;
        }
        Ok(())
    }
}

async fn a_daemon_from_registration_to_stop(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    f.client.batch_execute("create table seen (data text, tbl text)").await?;
    let dir = tempfile::tempdir()?;
    let ini = dir.path().join("store.ini");
    let text = format!(
        "[store]\ndb = {}\nqueue_name = {QUEUE}\npgq_consumer_id = old_name\nconsumer_name = new_name\n\
         table_filter = a, other.b\nloop_delay = 0.05\nexception_sleep = 0.05\n",
        f.db.connstr()
    );
    std::fs::write(&ini, text)?;
    let config = || Config::load(&ini, &["store"], &[]);
    let run = async |args: ConsumerArgs, signals: Signals| {
        consumer::run(config()?, signals, args, "db", Store(f.db.connect().await?))
            .await
            .map_err(anyhow::Error::from)
    };
    let register = ConsumerArgs { register: true, unregister: false };
    let unregister = ConsumerArgs { register: false, unregister: true };

    assert_eq!(run(register, Signals::manual()).await?, ExitCode::SUCCESS);
    assert!(queue::consumer_info(&f.client, QUEUE, "old_name").await?.is_some(), "the old alias wins");
    assert_eq!(run(register, Signals::manual()).await?, ExitCode::SUCCESS, "twice is no error");

    for (data, table) in [("1", "public.a"), ("2", "public.c"), ("3", "other.b"), ("4", "")] {
        let event = pgq::NewEvent::new("n", data).extra1(table);
        pgq::producer::insert_event(&f.client, QUEUE, &event).await?;
    }
    f.tick().await?;
    let signals = Signals::manual();
    let stop = signals.clone();
    let watch = async {
        testkit::wait_for("the batch to be finished", testkit::PATIENCE, async || {
            let info = queue::consumer_info(&f.client, QUEUE, "old_name").await?;
            Ok(info.filter(|i| i.last_tick == Some(2)))
        })
        .await?;
        stop.request_stop();
        anyhow::Ok(())
    };
    let (ended, watched) = tokio::join!(run(ConsumerArgs::default(), signals), watch);
    watched?;
    assert_eq!(ended?, ExitCode::SUCCESS);
    let seen = f.text("select string_agg(data || '=' || tbl, ' ' order by data) from seen").await?;
    assert_eq!(seen, "1=public.a 3=other.b");

    assert_eq!(run(unregister, Signals::manual()).await?, ExitCode::SUCCESS);
    let error = run(unregister, Signals::manual()).await.expect_err("unregistered");
    let kind = error.downcast_ref::<skytools::Error>().map(skytools::Error::kind);
    assert_eq!(kind, Some(ErrorKind::NotFound));
    Ok(())
}
