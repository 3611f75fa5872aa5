//! Queues under writers of every isolation level, prepared transactions and half-done rotations.
//!
//! Each test plays a race of `docs/design/rotation.md` with several sessions; the last one lets them all run at random.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::locks::until_blocked;
use testkit::{PATIENCE, TestDb, wait_for};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const QUEUE: &str = "q";

/// Rotation looks at the transactions of the whole server, so one test runs at a time.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Comes first of what a test holds, so that it ends last: dropping a database is a transaction, too.
type Turn = tokio::sync::MutexGuard<'static, ()>;

async fn queue() -> Result<(Turn, TestDb, Client)> {
    let turn = ONE.lock().await;
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin
        .batch_execute(
            "select pgq.create_queue('q');
             update pgq.queue set queue_rotation_period = '0', queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'",
        )
        .await?;
    Ok((turn, db, admin))
}

async fn number(client: &Client, sql: &str) -> Result<i64> {
    let row =
        client.query_one(&format!("select ({sql})::int8"), &[]).await.with_context(|| sql.to_owned())?;
    Ok(row.get(0))
}

async fn current_table(client: &Client) -> Result<i64> {
    number(client, "select queue_cur_table from pgq.queue").await
}

/// One try of both steps, each in its own transaction.
async fn try_rotation(client: &Client) -> Result<()> {
    client.execute("select pgq.maint_rotate_tables_step1($1)", &[&QUEUE]).await?;
    client.execute("select pgq.maint_rotate_tables_step2()", &[]).await?;
    Ok(())
}

/// Rotates once. Transactions of other tests on the same server may delay it.
async fn rotate(client: &Client) -> Result<()> {
    let before = current_table(client).await?;
    wait_for("the queue to rotate", PATIENCE, || async {
        try_rotation(client).await?;
        Ok((current_table(client).await? != before).then_some(()))
    })
    .await
}

/// Inserts and returns the SQLSTATE of the refusal, if it was refused.
async fn insert(client: &Client, data: &str) -> Result<Option<SqlState>> {
    match client.execute("select pgq.insert_event($1, 't', $2)", &[&QUEUE, &data]).await {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(error.code().cloned().with_context(|| format!("no SQLSTATE: {error}"))?)),
    }
}

async fn begin(client: &Client, level: &str) -> Result<()> {
    // a look at anything takes the snapshot
    client.batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class")).await?;
    Ok(())
}

#[tokio::test]
async fn old_snapshots_are_refused_after_a_rotation() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    for level in ["repeatable read", "serializable"] {
        for statement in [
            "select pgq.insert_event_raw('q', null, now(), null, null, 't', 'd', null, null, null, null)",
            "select pgq.insert_events('q', '{t}', '{d}')",
            "select pgq.current_event_table('q')",
        ] {
            let writer = db.connect().await?;
            begin(&writer, level).await?;
            rotate(&admin).await?;
            let Err(error) = writer.execute(statement, &[]).await else {
                anyhow::bail!("{level}: {statement} was not refused")
            };
            ensure!(error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{level}: {error}");
            writer.batch_execute("rollback").await?;

            begin(&writer, level).await?;
            writer.execute(statement, &[]).await.context("with a new snapshot")?;
            writer.batch_execute("commit").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn generated_code_writes_to_the_current_table_under_an_old_snapshot() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    for level in ["repeatable read", "serializable"] {
        let writer = db.connect().await?;
        begin(&writer, level).await?;
        rotate(&admin).await?;
        ensure!(insert(&writer, level).await?.is_none(), "{level}: refused");
        writer.batch_execute("commit").await?;
        let table = current_table(&admin).await?;
        let there =
            number(&admin, &format!("select count(*) from pgq.event_1_{table} where ev_data = '{level}'"))
                .await?;
        ensure!(there == 1, "{level}: not in table {table}");
    }
    Ok(())
}

#[tokio::test]
async fn between_the_steps_old_snapshots_are_refused_and_others_write() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    let (old, fresh) = (db.connect().await?, db.connect().await?);
    begin(&old, "repeatable read").await?;
    let before = current_table(&admin).await?;
    wait_for("step 1", PATIENCE, || async {
        admin.execute("select pgq.maint_rotate_tables_step1('q')", &[]).await?;
        Ok((current_table(&admin).await? != before).then_some(()))
    })
    .await?;
    ensure!(insert(&old, "old").await? == Some(SqlState::T_R_SERIALIZATION_FAILURE));
    ensure!(insert(&fresh, "fresh").await?.is_none());
    admin.execute("select pgq.maint_rotate_tables_step2()", &[]).await?;
    begin(&fresh, "serializable").await?;
    ensure!(insert(&fresh, "fresh").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_rolled_back_step_1_neither_lets_old_snapshots_in_nor_blocks_for_long() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    let old = db.connect().await?;
    begin(&old, "repeatable read").await?; // sees table 0 as current
    rotate(&admin).await?;
    rotate(&admin).await?; // table 2 is current, the next would be 0 again
    wait_for("step 1 to switch before it is rolled back", PATIENCE, || async {
        admin.batch_execute("begin; select pgq.maint_rotate_tables_step1('q')").await?;
        let table = current_table(&admin).await?;
        admin.batch_execute("rollback").await?;
        Ok((table == 0).then_some(()))
    })
    .await?;
    ensure!(insert(&old, "would be truncated").await? == Some(SqlState::T_R_SERIALIZATION_FAILURE));
    old.batch_execute("rollback").await?;

    begin(&old, "repeatable read").await?;
    ensure!(insert(&old, "unsettled").await? == Some(SqlState::T_R_SERIALIZATION_FAILURE));
    old.batch_execute("rollback").await?;
    admin.execute("select pgq.ticker()", &[]).await?;
    begin(&old, "repeatable read").await?;
    ensure!(insert(&old, "settled").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_transaction_may_write_after_its_own_change_of_the_queue() -> Result<()> {
    let (_turn, _db, admin) = queue().await?;
    begin(&admin, "serializable").await?;
    admin.batch_execute("update pgq.queue set queue_disable_insert = true").await?;
    admin.batch_execute("update pgq.queue set queue_disable_insert = false").await?;
    ensure!(insert(&admin, "own").await?.is_none());
    admin.batch_execute("commit").await?;
    Ok(())
}

#[tokio::test]
async fn old_snapshots_cannot_write_to_a_queue_disabled_meanwhile() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    let (old, fresh) = (db.connect().await?, db.connect().await?);
    begin(&old, "repeatable read").await?;
    begin(&fresh, "read committed").await?;
    admin.batch_execute("update pgq.queue set queue_disable_insert = true").await?;
    ensure!(insert(&old, "d").await? == Some(SqlState::T_R_SERIALIZATION_FAILURE));
    ensure!(insert(&fresh, "d").await? == Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
    for client in [&old, &fresh] {
        client.batch_execute("rollback").await?;
    }

    // enabling that is rolled back must not let an older snapshot in
    admin
        .batch_execute(
            "select pgq.ticker(); update pgq.queue set queue_disable_insert = false; select pgq.ticker()",
        )
        .await?;
    begin(&old, "repeatable read").await?;
    admin
        .batch_execute(
            "update pgq.queue set queue_disable_insert = true; select pgq.ticker();
             begin; update pgq.queue set queue_disable_insert = false; rollback",
        )
        .await?;
    ensure!(insert(&old, "d").await? == Some(SqlState::T_R_SERIALIZATION_FAILURE));
    Ok(())
}

#[tokio::test]
async fn step_2_counts_from_its_own_call_even_in_an_older_transaction() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    let (stepper, writer) = (db.connect().await?, db.connect().await?);
    stepper.batch_execute("begin; select txid_current()").await?;
    writer.batch_execute("begin; select pgq.insert_event('q', 't', 'in the old table')").await?;
    let writing = number(&writer, "select txid_current()").await?;
    let before = current_table(&admin).await?;
    // the open transactions are older than this switch and newer than the last one
    admin.execute("select pgq.maint_rotate_tables_step1('q')", &[]).await?;
    ensure!(current_table(&admin).await? != before, "the queue did not switch");
    stepper.batch_execute("select pgq.maint_rotate_tables_step2(); commit").await?;
    let step2 = number(&admin, "select queue_switch_step2 from pgq.queue").await?;
    ensure!(step2 > writing, "step 2 noted {step2}, but {writing} writes to the previous table");

    // both steps in one transaction: the second must not count
    writer.batch_execute("commit").await?;
    wait_for("a switch", PATIENCE, || async {
        let before = current_table(&admin).await?;
        admin
            .batch_execute("begin; select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2(); commit")
            .await?;
        Ok((current_table(&admin).await? != before).then_some(()))
    })
    .await?;
    ensure!(number(&admin, "select count(*) from pgq.queue where queue_switch_step2 is null").await? == 1);
    Ok(())
}

#[tokio::test]
async fn without_consumers_an_open_writer_still_holds_the_rotation() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    let writer = db.connect().await?;
    let table: String = {
        writer.batch_execute("begin").await?;
        writer.query_one("select pgq.current_event_table('q')", &[]).await?.get(0)
    };
    // the switch away from the writer's table is allowed, the next one is not
    try_rotation(&admin).await?;
    let after = current_table(&admin).await?;
    try_rotation(&admin).await?;
    try_rotation(&admin).await?;
    ensure!(current_table(&admin).await? == after, "rotated past an open writer");

    admin
        .batch_execute(
            "select pgq.force_tick('q'); select pgq.ticker(); select pgq.register_consumer('q', 'late')",
        )
        .await?;
    writer
        .batch_execute(&format!(
            "insert into {table} (ev_time, ev_type, ev_data) values (now(), 't', 'bulk'); commit"
        ))
        .await?;
    ensure!(read_batches(&admin, "late").await? == vec!["bulk".to_owned()]);
    Ok(())
}

#[tokio::test]
async fn a_prepared_transaction_keeps_its_event_across_rotations() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    if number(&admin, "select current_setting('max_prepared_transactions')").await? == 0 {
        anyhow::bail!("the test cluster needs max_prepared_transactions");
    }
    admin.batch_execute("select pgq.register_consumer('q', 'c')").await?;
    let writer = db.connect().await?;
    writer
        .batch_execute(
            "begin; savepoint a; select pgq.insert_event('q', 't', 'undone'); rollback to a;
             select pgq.insert_event('q', 't', 'prepared'); prepare transaction 'sql_isolation'",
        )
        .await?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        try_rotation(&admin).await?;
        seen.extend(read_batches(&admin, "c").await?);
    }
    ensure!(seen.is_empty(), "{seen:?} before the commit");
    admin.batch_execute("commit prepared 'sql_isolation'").await?;
    for _ in 0..4 {
        seen.extend(read_batches(&admin, "c").await?);
        try_rotation(&admin).await?;
    }
    ensure!(seen == ["prepared"], "{seen:?}");
    Ok(())
}

/// Every way to put an event into the queue: its name, the statements before the race, and the one that races.
const WRITERS: [(&str, &str, &str); 6] = [
    ("insert_event", "", "select pgq.insert_event('q', 't', 'late')"),
    ("insert_events", "", "select pgq.insert_events('q', '{t}', '{late}')"),
    (
        "insert_event_raw",
        "",
        "select pgq.insert_event_raw('q', null, now(), null, null, 't', 'late', null, null, null, null)",
    ),
    (
        "a generic trigger",
        "create table g (id text primary key); create trigger c after insert or delete on g for each row execute function pgq.sqltriga('q')",
        "insert into g values ('late') on conflict do nothing; delete from g",
    ),
    (
        "generated capture",
        "create table c (id text primary key); select pgq.capture_table('q', 'c')",
        "insert into c values ('late') on conflict do nothing; delete from c",
    ),
    (
        "a bulk loader",
        "",
        "do $$ begin execute 'insert into ' || pgq.current_event_table('q') || ' (ev_time, ev_type, ev_data) values (now(), ''t'', ''late'')'; end $$",
    ),
];

/// A root that hands its queue over, and a consumer that reads all of it.
async fn root() -> Result<(Turn, TestDb, Client)> {
    let (turn, db, admin) = queue().await?;
    admin
        .batch_execute(
            "select pgq_node.register_location('q', 'old root', 'dbname=x', false);
             select pgq_node.create_node('q', 'root', 'old root', 'w', null, null, null);
             select pgq.register_consumer('q', 'c')",
        )
        .await?;
    for (_, setup, _) in WRITERS {
        admin.batch_execute(setup).await?;
    }
    Ok((turn, db, admin))
}

/// Opens the queue again.
async fn reopen(admin: &Client) -> Result<()> {
    admin
        .batch_execute(
            "update pgq.queue set queue_disable_insert = false, queue_external_ticker = false; select pgq.ticker()",
        )
        .await?;
    read_batches(admin, "c").await?;
    Ok(())
}

#[tokio::test]
async fn a_writer_that_read_open_before_a_takeover_cannot_write_behind_its_last_tick() -> Result<()> {
    let (_turn, db, admin) = root().await?;
    for (name, _, statement) in WRITERS {
        for level in ["read committed", "repeatable read"] {
            for warm in [false, true] {
                let case = format!("{name}, {level}, {}", if warm { "used session" } else { "new session" });
                reopen(&admin).await?;
                let (taker, writer) = (db.connect().await?, db.connect().await?);
                if warm {
                    writer.batch_execute(statement).await.with_context(|| case.clone())?;
                }
                let pid = number(&writer, "select pg_backend_pid()").await?;
                begin(&writer, level).await?;
                // The writer finds the queue open and waits for the table, until the last tick is made.
                taker.batch_execute("begin; lock table pgq.event_1 in exclusive mode").await?;
                let (written, taken) = tokio::join!(writer.batch_execute(statement), async {
                    until_blocked(&admin, pid).await?;
                    admin.batch_execute("select pgq_node.demote_root('q', 1, null)").await?;
                    taker.batch_execute("select pgq_node.demote_root('q', 2, null); commit").await?;
                    anyhow::Ok(())
                });
                taken?;
                let error = written.err().with_context(|| format!("{case}: written behind the last tick"))?;
                ensure!(error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{case}: {error:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_takeover_waits_for_whoever_wrote_before_it() -> Result<()> {
    let (_turn, db, admin) = root().await?;
    for (name, _, statement) in WRITERS {
        reopen(&admin).await?;
        let (taker, writer) = (db.connect().await?, db.connect().await?);
        let pid = number(&taker, "select pg_backend_pid()").await?;
        writer.batch_execute("begin").await?;
        writer.batch_execute(statement).await.with_context(|| name.to_owned())?;
        admin.batch_execute("select pgq_node.demote_root('q', 1, null)").await?;
        let (taken, ended) = tokio::join!(
            taker.query_one("select last_tick from pgq_node.demote_root('q', 2, null)", &[]),
            async {
                until_blocked(&admin, pid).await?;
                writer.batch_execute("commit").await?;
                anyhow::Ok(())
            }
        );
        ended?;
        let last: i64 = taken?.try_get(0)?;
        let seen = read_until(&admin, "c", last).await?;
        ensure!(seen.iter().any(|data| data.contains("late")), "{name}: {seen:?} up to the last tick");
    }
    Ok(())
}

/// Reads and finishes all batches up to a tick.
async fn read_until(client: &Client, consumer: &str, tick: i64) -> Result<Vec<String>> {
    let mut data = Vec::new();
    loop {
        let row = client
            .query_one("select batch_id, cur_tick_id from pgq.next_batch_info($1, $2)", &[&QUEUE, &consumer])
            .await?;
        let (batch, at): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let (Some(batch), Some(at)) = (batch, at) else { return Ok(data) };
        ensure!(at <= tick, "tick {at} behind the last one, {tick}");
        for row in client.query("select ev_data from pgq.get_batch_events($1)", &[&batch]).await? {
            data.push(row.try_get(0)?);
        }
        client.execute("select pgq.finish_batch($1)", &[&batch]).await?;
    }
}

#[tokio::test]
async fn capture_notices_ddl_behind_an_old_snapshot() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    // a rewritten table looks empty to an older snapshot: the type change is seen through an insert
    let changes = [
        ("alter table t add column extra text default 'e'", "delete from t"),
        ("alter table t drop column v", "delete from t"),
        ("alter table t rename column v to w", "delete from t"),
        (
            "alter table t alter column v type text using '<' || v || '&a=b>'",
            "insert into t values (7, 7, '7')",
        ),
        ("alter table t drop constraint t_pkey, add primary key (k2)", "delete from t"),
        ("alter table t rename column id to nr", "delete from t"),
        (
            "alter table t rename column id to x; alter table t rename column k2 to id; alter table t rename column x to k2",
            "delete from t",
        ),
    ];
    for (change, statement) in changes {
        for kind in ["logutriga", "sqltriga", "jsontriga"] {
            admin
                .batch_execute(&format!(
                    "drop table if exists t; create table t (id int primary key, k2 int not null, v int);
                     create trigger c after insert or update or delete on t for each row execute function pgq.{kind}('q');
                     insert into t values (1, 1, 1); update t set k2 = k2;"
                ))
                .await?;
            let old = db.connect().await?;
            begin(&old, "repeatable read").await?;
            admin.batch_execute(change).await?;
            match old.batch_execute(statement).await {
                Ok(()) => old.batch_execute("commit").await?,
                Err(error) => {
                    ensure!(
                        error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE),
                        "{kind}, {change}: {error}"
                    );
                    old.batch_execute(&format!("rollback; begin; {statement}; commit")).await?;
                }
            }
            // the same on a table that never was another
            admin
                .batch_execute(&format!(
                    "drop table t; create table t (id int primary key, k2 int not null, v int);
                     insert into t values (1, 1, 1); {change};
                     create trigger c after insert or update or delete on t for each row execute function pgq.{kind}('q');
                     {statement}"
                ))
                .await?;
            let rows = admin
                .query("select ev_type || ' ' || ev_data from pgq.event_1 order by ev_id desc limit 2", &[])
                .await?;
            let events: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
            ensure!(events[0] == events[1], "{kind}, {change}: {events:?}");
        }
    }
    Ok(())
}

/// Ticks, then reads and finishes batches until there are none.
async fn read_batches(client: &Client, consumer: &str) -> Result<Vec<String>> {
    client.batch_execute("select pgq.force_tick('q'); select pgq.ticker()").await?;
    let mut data = Vec::new();
    loop {
        let batch: Option<i64> =
            client.query_one("select pgq.next_batch($1, $2)", &[&QUEUE, &consumer]).await?.get(0);
        let Some(batch) = batch else { return Ok(data) };
        for row in client.query("select ev_data from pgq.get_batch_events($1)", &[&batch]).await? {
            data.push(row.get(0));
        }
        client.execute("select pgq.finish_batch($1)", &[&batch]).await?;
    }
}

/// One writer: transactions of one isolation level until `count` of them are committed. Returns what was committed.
async fn write(client: Client, writer: usize, level: &str, count: usize) -> Result<Vec<String>> {
    let mut committed = Vec::new();
    let mut attempt = 0_usize;
    while committed.len() < count {
        attempt += 1;
        let data = format!("{writer}-{attempt}");
        begin(&client, level).await?;
        // a row of an own table keeps the transaction open over other sessions' work without waiting for a time
        client
            .execute(
                "select count(*) from generate_series(1, $1::int8)",
                &[&i64::try_from(attempt * 7919 % 20_000)?],
            )
            .await?;
        if insert(&client, &data).await?.is_some() || attempt.is_multiple_of(7) {
            client.batch_execute("rollback").await?;
            continue;
        }
        if attempt.is_multiple_of(5) {
            let id = format!("w{writer}_{attempt}");
            if client.batch_execute(&format!("prepare transaction '{id}'")).await.is_ok() {
                client.batch_execute(&format!("commit prepared '{id}'")).await?;
                committed.push(data);
            }
        } else if client.batch_execute("commit").await.is_ok() {
            committed.push(data);
        }
    }
    Ok(committed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_or_doubled_under_constant_rotation() -> Result<()> {
    let (_turn, db, admin) = queue().await?;
    admin.batch_execute("select pgq.register_consumer('q', 'c')").await?;
    let mut writers = Vec::new();
    for (nr, level) in
        ["read committed", "repeatable read", "serializable", "read committed"].into_iter().enumerate()
    {
        let client = db.connect().await?;
        writers.push(tokio::spawn(write(client, nr, level, 150)));
    }
    let rotating = db.connect().await?;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let rotator = tokio::spawn(async move {
        let mut rotations = 0_u32;
        while !*stopped.borrow_and_update() {
            let before = current_table(&rotating).await?;
            rotating.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
            tokio::time::timeout(Duration::from_millis(3), stopped.changed()).await.ok();
            rotating.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
            rotations += u32::from(current_table(&rotating).await? != before);
        }
        anyhow::Ok(rotations)
    });

    let mut seen = Vec::new();
    while writers.iter().any(|w| !w.is_finished()) {
        seen.extend(read_batches(&admin, "c").await?);
    }
    let mut committed = Vec::new();
    for writer in writers {
        committed.extend(writer.await??);
    }
    stop.send(true)?;
    let rotations = rotator.await??;
    seen.extend(read_batches(&admin, "c").await?);
    seen.extend(read_batches(&admin, "c").await?);

    ensure!(rotations > 5, "only {rotations} rotations happened");
    let distinct: BTreeSet<&String> = seen.iter().collect();
    ensure!(distinct.len() == seen.len(), "an event came twice");
    let committed: BTreeSet<&String> = committed.iter().collect();
    ensure!(distinct == committed, "lost: {:?}", committed.difference(&distinct).collect::<Vec<_>>());
    Ok(())
}
