//! Rotation against other maintenance, and against consumers that come: who waits for whom, and what is lost.
//!
//! Sessions are stopped by locks, and waited for in `pg_locks`. On a server of its own: a rotation looks at all transactions.

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use e2e::locks::until_blocked;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

async fn number(client: &Client, sql: &str) -> Result<i64> {
    let row =
        client.query_one(&format!("select ({sql})::int8"), &[]).await.with_context(|| sql.to_owned())?;
    Ok(row.get(0))
}

/// A database on a server where nobody else works.
struct Db(String);

impl Db {
    async fn connect(&self) -> Result<Client> {
        testkit::connect(&self.0).await
    }
}

/// A new database with two queues, `p` and `q`.
async fn queues(cluster: &Cluster, name: &str) -> Result<(Db, Client)> {
    let db = Db(testkit::database_on(cluster, name)?);
    let admin = db.connect().await?;
    admin
        .batch_execute(
            "select pgq.create_queue('p'), pgq.create_queue('q');
             update pgq.queue set queue_rotation_period = '0', queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'",
        )
        .await?;
    Ok((db, admin))
}

async fn tick(client: &Client) -> Result<()> {
    client.batch_execute("select pgq.force_tick('q'); select pgq.ticker()").await?;
    Ok(())
}

/// Ticks, then reads and finishes all batches of consumer `c` on queue `q`.
async fn drain(client: &Client) -> Result<Vec<String>> {
    tick(client).await?;
    let mut data = Vec::new();
    loop {
        let batch: Option<i64> = client.query_one("select pgq.next_batch('q', 'c')", &[]).await?.get(0);
        let Some(batch) = batch else { return Ok(data) };
        for row in client.query("select ev_data from pgq.get_batch_events($1)", &[&batch]).await? {
            data.push(row.get(0));
        }
        client.execute("select pgq.finish_batch($1)", &[&batch]).await?;
    }
}

/// Step 2 waits while step 1 of a queue runs and a writer that does not see it gets its id: what step 2 notes is above it.
#[tokio::test]
async fn a_step_2_that_waited_notes_an_id_above_every_writer() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    // as somebody who rewrites pgq.queue, and as pgq.rebase_transactions does
    for (name, locker) in [
        ("rewritten", "vacuum full pgq.queue"),
        ("locked", "begin; lock table pgq.queue in exclusive mode; commit"),
    ] {
        let (db, admin) = queues(&cluster, name).await?;
        admin.batch_execute("select pgq.register_consumer('q', 'c')").await?;
        drain(&admin).await?;
        let (rotating, locking, noting, writing) =
            (db.connect().await?, db.connect().await?, db.connect().await?, db.connect().await?);
        let (locking_pid, noting_pid) = (
            number(&locking, "select pg_backend_pid()").await?,
            number(&noting, "select pg_backend_pid()").await?,
        );
        rotating.batch_execute("begin; select pgq.maint_rotate_tables_step1('p')").await?;
        let (locked, noted, played) = tokio::join!(
            locking.batch_execute(locker),
            async {
                until_blocked(&admin, locking_pid).await?;
                noting.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
                anyhow::Ok(())
            },
            async {
                until_blocked(&admin, locking_pid).await?;
                until_blocked(&admin, noting_pid).await?;
                // a look that began earlier has seen the old row, and its id comes after that of step 2
                writing.batch_execute("begin; select pgq.insert_event('q', 't', 'kept')").await?;
                rotating.batch_execute("select pgq.maint_rotate_tables_step1('q'); commit").await?;
                anyhow::Ok(())
            }
        );
        locked?;
        noted?;
        played?;
        admin.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
        ensure!(
            number(&admin, "select queue_cur_table from pgq.queue where queue_name = 'q'").await? == 1,
            "{locker}: no rotation was played"
        );
        let step2 = number(&admin, "select queue_switch_step2 from pgq.queue where queue_name = 'q'").await?;
        let writer = number(&writing, "select txid_current()").await?;
        ensure!(writer < step2, "{locker}: step 2 noted {step2}, but {writer} still writes");

        let mut seen = drain(&admin).await?;
        ensure!(seen.is_empty(), "{locker}: {seen:?} before the commit");
        writing.batch_execute("commit").await?;
        seen.extend(drain(&admin).await?);
        seen.extend(drain(&admin).await?);
        ensure!(seen == ["kept"], "{locker}: read {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn step_2_without_work_uses_no_id_and_an_old_snapshot_leaves_work_to_others() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    let (db, admin) = queues(&cluster, "q").await?;
    admin
        .batch_execute(
            "do $$ begin
                perform pgq.maint_rotate_tables_step2();
                assert txid_current_if_assigned() is null, 'an id for nothing';
             end $$",
        )
        .await?;
    let old = db.connect().await?;
    let half_done = "select count(*) from pgq.queue where queue_switch_step2 is null";
    for level in ["repeatable read", "serializable"] {
        old.batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class")).await?;
        admin.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
        old.batch_execute("select pgq.maint_rotate_tables_step2(); commit").await?;
        ensure!(number(&admin, half_done).await? == 1, "{level}: noted an id older than the switch");
        // what its snapshot shows was committed before
        old.batch_execute(&format!(
            "begin isolation level {level}; select pgq.maint_rotate_tables_step2(); commit"
        ))
        .await?;
        ensure!(number(&admin, half_done).await? == 0, "{level}: not settled");

        old.batch_execute(&format!("begin isolation level {level}")).await?;
        let refused = old.batch_execute("select pgq.maint_rotate_tables_step1('q')").await;
        let error = refused.err().context("step 1 under an old snapshot")?;
        ensure!(error.code() == Some(&SqlState::ACTIVE_SQL_TRANSACTION), "{level}: {error:?}");
        old.batch_execute("rollback").await?;
    }
    Ok(())
}

/// The newest tick is older than the last step 2, and nobody reads: step 1 deletes it.
async fn deletable_tick(admin: &Client) -> Result<()> {
    for step in ["maint_rotate_tables_step1('q')", "maint_rotate_tables_step2()"] {
        admin.batch_execute(&format!("select pgq.{step}")).await?;
    }
    admin.batch_execute("select pgq.ticker('q')").await?;
    for step in ["maint_rotate_tables_step1('q')", "maint_rotate_tables_step2()"] {
        admin.batch_execute(&format!("select pgq.{step}")).await?;
    }
    ensure!(number(admin, "select count(*) from pgq.tick where tick_queue = 2").await? > 0);
    Ok(())
}

#[tokio::test]
async fn who_registers_while_ticks_are_deleted_gets_none_of_them() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    let register = "select pgq.register_consumer('q', 'c')";
    let old_tick = "select pgq.register_consumer_at('q', 'c', TICK)";
    for (name, level, statement, code) in [
        ("r1", "read committed", register, SqlState::RAISE_EXCEPTION),
        ("r2", "read committed", old_tick, SqlState::RAISE_EXCEPTION),
        ("r3", "repeatable read", register, SqlState::T_R_SERIALIZATION_FAILURE),
        ("r4", "serializable", old_tick, SqlState::T_R_SERIALIZATION_FAILURE),
    ] {
        let case = format!("{level}: {statement}");
        let (db, admin) = queues(&cluster, name).await?;
        deletable_tick(&admin).await?;
        let newest = number(&admin, "select max(tick_id) from pgq.tick where tick_queue = 2").await?;
        let statement = statement.replace("TICK", &newest.to_string());
        let (rotating, coming) = (db.connect().await?, db.connect().await?);
        let pid = number(&coming, "select pg_backend_pid()").await?;
        coming
            .batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class"))
            .await?;
        rotating.batch_execute("begin; select pgq.maint_rotate_tables_step1('q')").await?;
        let (registered, played) = tokio::join!(coming.batch_execute(&statement), async {
            until_blocked(&admin, pid).await?;
            rotating.batch_execute("commit").await?;
            anyhow::Ok(())
        });
        played?;
        let error = registered.err().with_context(|| format!("{case}: registered at a tick that is gone"))?;
        ensure!(error.code() == Some(&code), "{case}: {error:?}");
        coming.batch_execute("rollback").await?;

        // what is done again succeeds, and the queue goes on
        admin.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
        tick(&admin).await?;
        admin.batch_execute(register).await?;
        admin.batch_execute("select pgq.insert_event('q', 't', 'read')").await?;
        ensure!(drain(&admin).await? == ["read"], "{case}");
        admin.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
    }
    Ok(())
}

/// One that moves back to an old tick keeps a rotation from deleting it, or is told that it is gone.
#[tokio::test]
async fn who_moves_back_keeps_its_tick() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off").conf("autovacuum = off")).await?;
    let (db, admin) = queues(&cluster, "q").await?;
    admin.batch_execute("select pgq.register_consumer('q', 'c'), pgq.register_consumer('q', 'd')").await?;
    let old = number(&admin, "select max(tick_id) from pgq.tick where tick_queue = 2").await?;
    let forward = "select pgq.ticker('q');
        select pgq.register_consumer_at('q', c, (select max(tick_id) from pgq.tick where tick_queue = 2)) from unnest('{c,d}'::text[]) c";
    let back = format!("select pgq.register_consumer_at('q', 'c', {old})");
    tick(&admin).await?;
    admin.batch_execute(forward).await?;

    let (rotating, moving) = (db.connect().await?, db.connect().await?);
    let pid = number(&rotating, "select pg_backend_pid()").await?;
    moving.batch_execute(&format!("begin; {back}")).await?;
    let (rotated, played) =
        tokio::join!(rotating.batch_execute("select pgq.maint_rotate_tables_step1('q')"), async {
            until_blocked(&admin, pid).await?;
            moving.batch_execute("commit").await?;
            anyhow::Ok(())
        });
    rotated?;
    played?;
    ensure!(
        number(&admin, "select queue_cur_table from pgq.queue where queue_name = 'q'").await? == 0,
        "rotated"
    );
    ensure!(drain(&admin).await?.is_empty());

    // the other way round
    admin.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
    admin.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
    tick(&admin).await?;
    tick(&admin).await?;
    let before = number(&admin, "select max(tick_id) from pgq.tick where tick_queue = 2").await?;
    admin.batch_execute(forward).await?;
    let pid = number(&moving, "select pg_backend_pid()").await?;
    rotating.batch_execute("begin; select pgq.maint_rotate_tables_step1('q')").await?;
    let gone = number(
        &rotating,
        "select count(*) from generate_series(1, 1) where not exists (select 1 from pgq.tick where tick_queue = 2 and tick_id = 1)",
    )
    .await?;
    ensure!(gone == 1 && before > 1, "step 1 deleted nothing");
    let (moved, played) = tokio::join!(moving.batch_execute(&back), async {
        until_blocked(&admin, pid).await?;
        rotating.batch_execute("commit").await?;
        anyhow::Ok(())
    });
    played?;
    let error = moved.err().context("moved to a tick that is gone")?;
    ensure!(error.to_string().contains("db error"), "{error}");
    admin.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
    ensure!(drain(&admin).await?.is_empty());
    admin.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
    Ok(())
}
