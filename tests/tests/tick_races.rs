//! Ticks made at the same time by several, and beside a rotation: who waits for whom.
//!
//! On a server of its own: the lock under which ticks are made is one for a database, and a rotation looks at all transactions.

use anyhow::{Result, ensure};
use cluster::Cluster;
use e2e::locks::until_blocked;
use testkit::PATIENCE;
use tokio_postgres::Client;

/// A new database with two queues, `p` and `q`, in which every call of the ticker makes a tick.
async fn queues(cluster: &Cluster, name: &str) -> Result<(String, Client)> {
    let connstr = testkit::database_on(cluster, name)?;
    let admin = testkit::connect(&connstr).await?;
    admin
        .batch_execute(
            "select pgq.create_queue('p'), pgq.create_queue('q');
             update pgq.queue set queue_rotation_period = '0', queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'",
        )
        .await?;
    Ok((connstr, admin))
}

/// What a call returns, at once: nobody is waited for.
async fn at_once(client: &Client, call: &str) -> Result<Option<i64>> {
    let row = tokio::time::timeout(PATIENCE, client.query_one(&format!("select ({call})::int8"), &[])).await;
    Ok(row.map_err(|_| anyhow::anyhow!("{call} waits"))??.get(0))
}

#[tokio::test]
async fn one_ticks_at_a_time_and_nobody_waits() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    let (connstr, admin) = queues(&cluster, "db").await?;
    let newest = "select max(tick_id) from pgq.tick where tick_queue = 2";
    let first = testkit::connect(&connstr).await?;
    for maker in ["pgq.ticker('q')", "pgq.ticker()", "pgq.tick_on_demand('q')"] {
        let before = at_once(&admin, newest).await?;
        admin.execute("update pgq.tick set tick_time = tick_time - '1 hour'::interval", &[]).await?;
        first.batch_execute("begin; select pgq.insert_event('q', 't', 'd')").await?;
        ensure!(at_once(&first, maker).await?.is_some(), "{maker}");
        ensure!(at_once(&first, newest).await? > before, "{maker} made no tick");
        ensure!(at_once(&admin, "pgq.ticker('q')").await?.is_none(), "a second tick beside that of {maker}");
        ensure!(at_once(&admin, "pgq.ticker()").await? == Some(0), "a second tick beside that of {maker}");
        ensure!(at_once(&admin, "pgq.tick_on_demand('q')").await? == before);
        // a queue gets its first tick all the same
        ensure!(at_once(&admin, "pgq.create_queue('new')").await? == Some(1));
        ensure!(at_once(&admin, "pgq.register_consumer('new', 'c')").await? == Some(1));
        ensure!(at_once(&admin, "pgq.drop_queue('new', true)").await? == Some(1));
        first.batch_execute("commit").await?;
        ensure!(at_once(&admin, "pgq.ticker('q')").await?.is_some(), "after {maker}");
    }
    // whoever has the lock already, as pgqd
    first.batch_execute("begin; select pg_advisory_xact_lock(1885827428, 1)").await?;
    ensure!(at_once(&first, "pgq.ticker('q')").await?.is_some());
    ensure!(at_once(&first, "pgq.ticker()").await? > Some(0));
    first.batch_execute("commit").await?;
    Ok(())
}

#[tokio::test]
async fn ticks_and_a_rotation_never_wait_for_each_other() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    let (connstr, admin) = queues(&cluster, "db").await?;
    let (rotating, ticking) = (testkit::connect(&connstr).await?, testkit::connect(&connstr).await?);
    let pid = rotating.query_one("select pg_backend_pid()", &[]).await?.get::<_, i32>(0).into();
    let current = "select queue_cur_table from pgq.queue where queue_name = 'q'";

    // The rotation has its queue, a consumer asks for a tick, the rotation goes on.
    admin.batch_execute("select pgq.insert_event('q', 't', 'd')").await?;
    let newest = at_once(&admin, "select max(tick_id) from pgq.tick where tick_queue = 2").await?;
    rotating.batch_execute("begin; select 1 from pgq.queue where queue_name = 'q' for update").await?;
    ensure!(
        at_once(&ticking, "pgq.tick_on_demand('q')").await? == newest,
        "a tick of a queue that is rotated"
    );
    ensure!(at_once(&rotating, "pgq.maint_rotate_tables_step1('q')").await? == Some(0));
    rotating.batch_execute("commit; select pgq.maint_rotate_tables_step2()").await?;
    ensure!(at_once(&admin, current).await? == Some(1), "not rotated");
    ensure!(at_once(&admin, "pgq.ticker('q')").await?.is_some());

    // A worker of an older version locks the table of ticks, and ticks; the rotation comes in between.
    ticking.batch_execute("begin; lock table pgq.tick in share row exclusive mode").await?;
    let (rotated, ticked) =
        tokio::join!(rotating.batch_execute("select pgq.maint_rotate_tables_step1('q')"), async {
            until_blocked(&admin, pid).await?;
            ensure!(at_once(&ticking, "pgq.ticker('q')").await?.is_some());
            Ok(ticking.batch_execute("commit").await?)
        });
    ticked?;
    rotated?;
    ensure!(at_once(&admin, current).await? == Some(2), "not rotated");

    // The same with a queue that is dropped.
    ticking.batch_execute("begin; lock table pgq.tick in share row exclusive mode").await?;
    let (dropped, ticked) = tokio::join!(rotating.batch_execute("select pgq.drop_queue('q', true)"), async {
        until_blocked(&admin, pid).await?;
        ensure!(at_once(&ticking, "pgq.ticker('q')").await?.is_some());
        Ok(ticking.batch_execute("commit").await?)
    });
    ticked?;
    dropped?;
    Ok(())
}
