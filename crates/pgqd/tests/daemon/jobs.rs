//! What the daemon does in a database: ticks, maintenance, retry, statistics.

use anyhow::Result;
use cluster::Cluster;
use nix::sys::signal::Signal;
use testkit::{PATIENCE, wait_for};
use tokio_postgres::Client;

use crate::fixture::{Daemon, is_ticked, newest_tick, original_database, original_server};

/// Reads a batch of consumer `c`; returns the id of an event that was retried so often, which is put off if asked for.
async fn take(consumer: &Client, retried: i32, put_off: bool) -> Result<Option<i64>> {
    let batch: Option<i64> = consumer.query_one("select pgq.next_batch('q', 'c')", &[]).await?.get(0);
    let Some(batch) = batch else { return Ok(None) };
    let sql = "select ev_id from pgq.get_batch_events($1) where coalesce(ev_retry, 0) = $2";
    let event: Option<i64> = consumer.query_opt(sql, &[&batch, &retried]).await?.map(|row| row.get(0));
    if put_off && let Some(event) = event {
        consumer.execute("select pgq.event_retry($1, $2, 0)", &[&batch, &event]).await?;
    }
    consumer.execute("select pgq.finish_batch($1)", &[&batch]).await?;
    Ok(event)
}

async fn does_every_job(cluster: &Cluster, db: &str) -> Result<()> {
    cluster.psql(
        db,
        "select pgq.set_queue_config('q', 'rotation_period', '0 seconds');
         select pgq.register_consumer('q', 'c')",
    )?;
    let mut daemon = Daemon::serving(cluster)?;
    daemon.says(&format!("[{db}]: pgq version ok")).await?;
    is_ticked(cluster, db, "q").await?;

    // An event put off comes back by itself.
    let consumer = testkit::connect(&cluster.connstr(db)).await?;
    let put_off = wait_for("a batch with the event", PATIENCE, || take(&consumer, 0, true)).await?;
    let back = wait_for("the event is back", PATIENCE, || take(&consumer, 1, false)).await?;
    assert_eq!(put_off, back);

    // The tables are rotated, again and again, once the consumer is past.
    let switches = || cluster.psql(db, "select queue_switch_step1 from pgq.queue");
    let before = switches()?;
    wait_for("a rotation", PATIENCE, || async {
        take(&consumer, 0, false).await?;
        Ok((switches()? != before).then_some(()))
    })
    .await?;

    wait_for("a line of statistics that counts every job", PATIENCE, || async {
        let log = daemon.process.stderr();
        let counts = |key: &str| log.lines().any(|l| l.contains(key) && !l.contains(&format!("{key}: 0")));
        Ok((counts("{ticks") && counts("maint") && log.contains("retry: 1}")).then_some(()))
    })
    .await?;
    daemon.process.signal(Signal::SIGINT)?;
    assert_eq!(daemon.process.wait(PATIENCE).await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn every_job_on_the_originals_schema() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "original")?;
    does_every_job(&cluster, "original").await
}

#[tokio::test]
async fn every_job_on_our_schema() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    testkit::database_on(&cluster, "ours")?;
    cluster.psql("ours", "select pgq.create_queue('q')")?;
    does_every_job(&cluster, "ours").await
}

#[tokio::test]
async fn a_vacuum_is_a_success_and_one_that_waits_delays_no_tick() -> Result<()> {
    let installation = testkit::debian_originals()?.installation;
    // Without autovacuum, pgq lists its tables for vacuum.
    let cluster =
        testkit::own_cluster(move |b| b.installation(&installation).conf("autovacuum = off")).await?;
    original_database(&cluster, "db")?;
    original_database(&cluster, "other")?;
    let mut daemon = Daemon::serving(&cluster)?;
    wait_for("rounds with vacuums are completed", PATIENCE, || async {
        let vacuumed =
            cluster.psql("db", "select count(*) from pg_stat_user_tables where vacuum_count > 1")?;
        Ok((vacuumed.trim().parse::<u32>()? > 2).then_some(()))
    })
    .await?;
    assert!(!daemon.process.stderr().contains("ERROR"));

    // A lock that stops VACUUM and nothing else.
    let holder = testkit::connect(&cluster.connstr("db")).await?;
    holder.batch_execute("begin; lock table pgq.tick in share update exclusive mode").await?;
    let waiting =
        "select count(*) from pg_stat_activity where query ilike 'vacuum%' and wait_event_type = 'Lock'";
    wait_for("a vacuum waits for the lock", PATIENCE, || async {
        Ok((cluster.psql("db", waiting)?.trim() == "1").then_some(()))
    })
    .await?;
    is_ticked(&cluster, "db", "q").await?;
    is_ticked(&cluster, "other", "q").await?;
    assert_eq!(cluster.psql("db", waiting)?.trim(), "1");

    // A stop does not wait for it either, and leaves nothing running on the server.
    daemon.process.signal(Signal::SIGINT)?;
    assert_eq!(daemon.process.wait(PATIENCE).await?.code(), Some(0));
    wait_for("the vacuum was cancelled", PATIENCE, || async {
        Ok((cluster.psql("db", waiting)?.trim() == "0").then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_failing_operation_does_not_starve_the_next() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    cluster.psql(
        "db",
        "create table ran(n int);
         create function bad(text) returns int language plpgsql as $$ begin raise 'no good'; end $$;
         create function good(text) returns int language sql as $$ insert into ran values (1); select 0 $$;
         update pgq.queue set queue_extra_maint = array['public.bad', 'public.good']",
    )?;
    let mut daemon = Daemon::serving(&cluster)?;
    wait_for("the second operation runs repeatedly", PATIENCE, || async {
        Ok((cluster.psql("db", "select count(*) > 2 from ran")?.trim() == "t").then_some(()))
    })
    .await?;
    let told = daemon.process.stderr().matches("no good").count();
    assert_eq!(told, 1, "once per reason:\n{}", daemon.process.stderr());
    daemon.says("[db]: maint: select public.bad('q') failed: no good").await
}

#[tokio::test]
async fn a_failing_queue_does_not_stop_the_others() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    cluster.psql("db", "select pgq.create_queue('healthy')")?;
    let mut daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "db", "q").await?;
    cluster.psql(
        "db",
        "do $$ begin execute 'alter sequence ' || (select queue_tick_seq from pgq.queue where queue_name = 'q') ||
           ' rename to gone'; end $$;
         select pgq.insert_event('q', 't', 'd')",
    )?;
    daemon.says("queue \"q\" gets no ticks, the others do").await?;
    is_ticked(&cluster, "db", "healthy").await?;
    let before = newest_tick(&cluster, "db", "q")?;
    cluster.psql(
        "db",
        "do $$ begin execute 'alter sequence pgq.gone rename to ' ||
         (select split_part(queue_tick_seq, '.', 2) from pgq.queue where queue_name = 'q'); end $$",
    )?;
    wait_for("the mended queue is ticked again", PATIENCE, || async {
        Ok((newest_tick(&cluster, "db", "q")? > before).then_some(()))
    })
    .await
}
