//! A database all of whose tables are published: PostgreSQL then refuses to update or delete rows of tables without a replica
//! identity, the product's own too. So everything that the product does to its tables is done here.

use anyhow::{Context, Result, ensure};
use testkit::{PATIENCE, skytools};
use tokio_postgres::Client;

const SETUP: &str = "
    create publication everything for all tables;
    select pgq.create_queue('q'), pgq.register_consumer('q', 'c'), pgq_coop.register_subconsumer('q', 'main', 'sub');
    update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0';
    select pgq_node.register_location('n', 'root', 'dbname=x', false);
    select pgq_node.create_node('n', 'root', 'root', 'w', null, null, null);
    create table acc (id int primary key, v text); create table st (id int primary key, v text); create table gen (id int primary key, v text);
    create table later (id int primary key deferrable initially deferred, v text);
    create table lossy (id int primary key deferrable, v text);
    -- an application has to see to its own tables
    alter table later replica identity full; alter table lossy replica identity full;
    select pgq.capture_table('q', 'acc'), pgq.capture_table('q', 'st', 'form=statement'), pgq.capture_table('q', 'gen', 'form=generic'),
           pgq.capture_table('q', 'later'), pgq.capture_table('q', 'lossy', 'capture_failure=mark');";

const CHANGES: [&str; 4] = [
    "insert into acc select n, 'a' from generate_series(1, 3) n; update acc set v = 'b'; update acc set id = 4 where id = 1; delete from acc",
    "insert into st select n, 'a' from generate_series(1, 3) n; update st set v = 'b'; delete from st",
    "insert into gen select n, 'a' from generate_series(1, 3) n; update gen set v = 'b'; delete from gen",
    "begin; insert into later values (1, 'a'); delete from later where id = 1; insert into later values (1, 'b'); update later set v = 'c'; commit; delete from later",
];

/// One event, one tick, and a batch of every kind of consumer; the event's data.
async fn round(db: &Client, nr: i64) -> Result<Vec<String>> {
    let sql = format!(
        "do $$
         declare b int8;
         begin
             perform pgq.insert_event('q', 'round', '{nr}');
             commit;
             perform pgq.ticker('q');
             commit;
             b := pgq_coop.next_batch('q', 'main', 'sub');
             perform pgq_coop.finish_batch(b);
             perform pgq_node.set_consumer_completed('n', 'w', 1 + {nr}), pgq_node.set_consumer_error('n', 'w', 'e'),
                     pgq_node.set_global_watermark('n', null);
             perform pgq_ext.set_last_tick('c', {nr}), pgq_ext.set_batch_done('c', {nr}), pgq_ext.set_event_done('c', {nr}, 1);
         end $$"
    );
    db.batch_execute(&sql).await?;
    let batch: i64 = db
        .query_one("select pgq.next_batch('q', 'c')", &[])
        .await?
        .get::<_, Option<i64>>(0)
        .context("no batch although a tick was made")?;
    let events = db
        .query("select ev_type || ' ' || ev_data from pgq.get_batch_events($1) order by ev_id", &[&batch])
        .await?;
    let done: i32 = db.query_one("select pgq.finish_batch($1)", &[&batch]).await?.get(0);
    ensure!(done == 1, "batch {batch} is not there");
    Ok(events.iter().map(|row| row.get(0)).collect())
}

async fn number(db: &Client, sql: &str) -> Result<i64> {
    Ok(db.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.try_get(0)?)
}

#[tokio::test]
async fn everything_works_where_all_tables_are_published() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("wal_level = logical")).await?;
    let connstr = testkit::database_on(&cluster, "db")?;
    // Modules installed later have made roles; verify wants their grants on what was there before.
    testkit::install_module(&cluster, "db", "pgq")?;
    let db = testkit::connect(&connstr).await?;
    db.batch_execute(SETUP).await?;

    // Capture in every form, and where it gives up.
    for sql in CHANGES {
        db.batch_execute(sql).await.with_context(|| sql.to_owned())?;
    }
    db.batch_execute("insert into lossy values (1, 'a'); update lossy set id = 2").await?;
    let lost =
        number(&db, "select count(*) from pgq.capture where rel_name = 'lossy' and lost_since is not null")
            .await?;
    ensure!(lost == 1, "the change that was not captured is not noted");
    let events = round(&db, 1).await?;
    for (kind, count) in [("I:id", 4 + 3 + 3 + 2 + 1), ("D:id", 4 + 3 + 3 + 2), ("U:id", 3 + 3 + 3 + 1)] {
        let found = events.iter().filter(|e| e.starts_with(kind)).count();
        ensure!(found == count, "{found} events {kind}, not {count}: {events:#?}");
    }
    db.batch_execute("select pgq.uncapture_table('q', 'acc'), pgq.capture_table('q', 'acc')").await?;

    // An event that is put back comes again.
    db.batch_execute("select pgq.insert_event('q', 'again', 'x')").await?;
    db.batch_execute("select pgq.ticker('q')").await?;
    db.batch_execute(
        "select pgq.event_retry(b, (select ev_id from pgq.get_batch_events(b)), 0), pgq.finish_batch(b) from pgq.next_batch('q', 'c') b",
    )
    .await?;
    let back: i32 = db.query_one("select pgq.maint_retry_events()", &[]).await?.get(0);
    ensure!(back == 1, "{back} events came back");
    let events = round(&db, 2).await?;
    ensure!(events == ["again x", "round 2"], "{events:?}");

    // Every event table is rotated, and written again.
    for nr in 3..7 {
        let before = number(&db, "select queue_switch_step1 from pgq.queue where queue_name = 'q'").await?;
        for _ in 0..2 {
            let events = round(&db, nr).await?;
            ensure!(events == [format!("round {nr}")], "{events:?}");
        }
        for step in ["step1('q')", "step2()"] {
            db.batch_execute(&format!("select pgq.maint_rotate_tables_{step}")).await?;
        }
        let after = number(&db, "select queue_switch_step1 from pgq.queue where queue_name = 'q'").await?;
        ensure!(after != before, "round {nr}: not rotated");
    }

    // Transaction ids of another server, by SQL and by the program.
    for (nr, by_sql) in [(10, true), (20, false)] {
        round(&db, nr).await?;
        db.batch_execute("select pgq.insert_event('q', 'from', 'elsewhere')").await?;
        db.batch_execute("select pgq.ticker('q')").await?;
        db.batch_execute(
            "drop publication everything;
             update pgq.event_1 set ev_txid = ev_txid + 1000000000;
             update pgq.tick set tick_snapshot = format('%s:%s:', txid_snapshot_xmin(tick_snapshot) + 1000000000, txid_snapshot_xmax(tick_snapshot) + 1000000000)::txid_snapshot where tick_queue = 1;
             create publication everything for all tables",
        )
        .await?;
        if by_sql {
            let changed: i32 = db.query_one("select pgq.rebase_transactions()", &[]).await?.get(0);
            ensure!(changed == 1, "{changed} queues were changed");
        } else {
            let verify = skytools(["verify", "--db", &connstr, "--repair"])?.run(PATIENCE).await?;
            ensure!(verify.stdout().contains("rebase"), "{}{}", verify.stdout(), verify.stderr());
        }
        let batch: i64 = number(&db, "select pgq.next_batch('q', 'c')").await?;
        let there = number(
            &db,
            &format!("select count(*) from pgq.get_batch_events({batch}) where ev_data = 'elsewhere'"),
        )
        .await?;
        ensure!(there == 1, "{there} events of the batch from elsewhere");
        db.batch_execute(&format!("select pgq.finish_batch({batch})")).await?;
        let events = round(&db, nr + 1).await?;
        ensure!(events == [format!("round {}", nr + 1)], "{events:?}");
    }

    // And all of it goes again.
    db.batch_execute(
        "select pgq.uncapture_table('q', t) from unnest('{acc,st,gen,later,lossy}'::text[]) t;
         select pgq_coop.unregister_subconsumer('q', 'main', 'sub', 0), pgq.unregister_consumer('q', 'c');
         select pgq_ext.set_last_tick('c', null);
         select pgq_node.drop_node('n', 'root');
         select pgq.drop_queue('q', true)",
    )
    .await?;
    Ok(())
}
