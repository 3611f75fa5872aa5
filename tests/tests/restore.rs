//! A database is dumped with pg_dump and restored on a server that has used fewer transaction ids: queues, capture and
//! replication go on there, and what cannot is told.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA, TABLES};
use e2e::pair::{LIMIT, Pair, QUEUE};
use testkit::{Process, skytools};
use tokio_postgres::Client;

/// Runs a client program of the cluster's installation.
async fn run(cluster: &Cluster, program: &str, args: &[&str]) -> Result<Process> {
    let path = cluster.installation().client_program(program)?;
    Process::command(path).args(args).label(program).run(LIMIT).await
}

async fn succeed(cluster: &Cluster, program: &str, args: &[&str]) -> Result<()> {
    let process = run(cluster, program, args).await?;
    ensure!(process.status().is_some_and(|s| s.success()), "{program} {args:?}: {}", process.output());
    Ok(())
}

/// `skytools verify`: whether it found nothing, and what it said.
async fn verify(connstr: &str, args: &[&str]) -> Result<(bool, String)> {
    let process = skytools(["verify", "--db", connstr])?.args(args).run(LIMIT).await?;
    ensure!(process.stderr().is_empty(), "{}", process.stderr());
    Ok((process.status().is_some_and(|s| s.success()), process.stdout()))
}

/// Makes a tick on a plain queue.
async fn tick(db: &Client, queue: &str) -> Result<i64> {
    db.query("select pgq.force_tick($1)", &[&queue]).await?;
    Ok(db.query_one("select pgq.ticker($1)", &[&queue]).await?.get(0))
}

async fn write(db: &Client, from: i32, to: i32) -> Result<()> {
    for n in from..=to {
        db.query("select pgq.insert_event('mail', 'n', $1::int4::text)", &[&n]).await?;
    }
    Ok(())
}

/// The open batch of a consumer, opened when there is none; `None` when nothing is left.
async fn batch(db: &Client, consumer: &str) -> Result<Option<(i64, Vec<String>)>> {
    let id: Option<i64> = db.query_one("select pgq.next_batch('mail', $1)", &[&consumer]).await?.get(0);
    let Some(id) = id else { return Ok(None) };
    let rows = db.query("select ev_data from pgq.get_batch_events($1)", &[&id]).await?;
    Ok(Some((id, rows.iter().map(|r| r.get(0)).collect())))
}

/// Everything that a consumer still gets, in order.
async fn rest(db: &Client, consumer: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    while let Some((id, events)) = batch(db, consumer).await? {
        all.extend(events);
        db.query("select pgq.finish_batch($1)", &[&id]).await?;
    }
    Ok(all)
}

fn numbers(from: i32, to: i32) -> Vec<String> {
    (from..=to).map(|n| n.to_string()).collect()
}

/// A queue `mail`: `reader` has the batch 6 to 10 open, `idle` has read nothing, 21 to 30 lie behind the last tick, some of them
/// written by a transaction that was open at that tick.
async fn fill(db: &Client, connstr: &str) -> Result<()> {
    let create = "select pgq.create_queue('mail'), pgq.register_consumer('mail', 'idle'), pgq.register_consumer('mail', 'reader')";
    db.query(create, &[]).await?;
    write(db, 1, 5).await?;
    tick(db, "mail").await?;
    let (id, events) = batch(db, "reader").await?.context("a batch")?;
    ensure!(events == numbers(1, 5));
    db.query("select pgq.finish_batch($1)", &[&id]).await?;
    write(db, 6, 10).await?;
    tick(db, "mail").await?;
    batch(db, "reader").await?.context("a batch")?;
    // A rotation: the next events go to another table.
    let rotate = "update pgq.queue set queue_rotation_period = '0', queue_switch_time = now() - interval '1 hour' where queue_name = 'mail'";
    db.execute(rotate, &[]).await?;
    db.query("select pgq.maint_rotate_tables_step1('mail')", &[]).await?;
    db.query("select pgq.maint_rotate_tables_step2()", &[]).await?;
    write(db, 11, 20).await?;
    let slow = testkit::connect(connstr).await?;
    slow.batch_execute("begin; select txid_current()").await?;
    tick(db, "mail").await?;
    write(&slow, 21, 25).await?;
    slow.batch_execute("commit").await?;
    write(db, 26, 30).await
}

/// On the restored database; `written` were inserted after the restore.
async fn read_on(db: &Client, written: (i32, i32)) -> Result<()> {
    let (id, events) = batch(db, "reader").await?.context("the open batch")?;
    ensure!(events == numbers(6, 10), "the open batch: {events:?}");
    db.query("select pgq.finish_batch($1)", &[&id]).await?;
    tick(db, "mail").await?;
    let events = rest(db, "reader").await?;
    ensure!(events == numbers(11, written.1), "reader: {events:?}");
    let events = rest(db, "idle").await?;
    ensure!(events == numbers(1, written.1), "idle: {events:?}");
    // Rotation goes on, right round the ring.
    let mut tables = Vec::new();
    for n in 1..=4 {
        write(db, written.1 + n, written.1 + n).await?;
        tick(db, "mail").await?;
        for consumer in ["reader", "idle"] {
            ensure!(rest(db, consumer).await? == [(written.1 + n).to_string()], "after rotation {n}");
        }
        tick(db, "mail").await?;
        for consumer in ["reader", "idle"] {
            rest(db, consumer).await?;
        }
        db.query("select pgq.maint_rotate_tables_step1('mail')", &[]).await?;
        db.query("select pgq.maint_rotate_tables_step2()", &[]).await?;
        let table = "select queue_cur_table from pgq.queue where queue_name = 'mail'";
        tables.push(db.query_one(table, &[]).await?.get::<_, i32>(0));
    }
    tables.dedup();
    ensure!(tables.len() == 4, "the queue did not rotate: {tables:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_root_goes_on() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    // What the server that is restored to has not used.
    pair.source.psql(
        "postgres",
        "do $$ begin for i in 1 .. 20000 loop perform txid_current(); commit; end loop; end $$",
    )?;
    pair.source.psql("db", SCHEMA)?;
    pair.start().await?;
    pair.londiste("root", &["add-table", "acc", "public.Order \"Line\""]).await?;
    pair.londiste("root", &["add-table", "log", "--insert-only"]).await?;
    pair.source.psql(
        "db",
        "create table public.by_statement (id int primary key, v text); insert into public.by_statement select g, 'v' from generate_series(1, 10) g",
    )?;
    pair.londiste("root", &["add-table", "by_statement", "--trigger-form=statement"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    pair.londiste("leaf", &["add-table", "by_statement", "--create"]).await?;
    pair.londiste("leaf", &["add-table", "log", "--create", "--insert-only"]).await?;
    pair.londiste("leaf", &["add-table", "acc", "public.Order \"Line\"", "--create", "--wait-sync"]).await?;
    let db = pair.source_db().await?;

    // Changes that the leaf has not seen, and then nothing runs any more.
    pair.leaf = None;
    let load = Load::start(&pair.connstr(&pair.source), 2);
    testkit::wait_for("some load", LIMIT, || async {
        let sql = "select last_value from public.acc_id_seq";
        Ok((db.query_one(sql, &[]).await?.get::<_, i64>(0) > 20_100).then_some(()))
    })
    .await?;
    load.stop(&db).await?;
    db.batch_execute("update public.by_statement set id = id - 1, v = 'before the dump'").await?;
    pair.root = None;
    pair.pgqd = None;
    fill(&db, &pair.connstr(&pair.source)).await?;
    drop(db);

    let old = pair.connstr(&pair.source);
    let dump = |name: &str| pair.dir().join(name).display().to_string();
    let (plain, custom) = (dump("plain.sql"), dump("custom.dump"));
    succeed(&pair.source, "pg_dump", &["-f", &plain, "-d", &old]).await?;
    succeed(&pair.source, "pg_dump", &["-Fc", "-f", &custom, "-d", &old]).await?;
    let restored =
        testkit::own_cluster(|b| b.conf("fsync = off").conf("max_prepared_transactions = 20")).await?;
    for role in ["pgq_reader", "pgq_writer", "pgq_admin", "londiste_reader", "londiste_writer"] {
        restored.psql("postgres", &format!("create role {role}"))?;
    }
    restored.create_database("db")?;
    restored.create_database("plain")?;
    succeed(&restored, "pg_restore", &["--exit-on-error", "-d", &restored.connstr("db"), &custom]).await?;
    succeed(
        &restored,
        "psql",
        &["-q", "-v", "ON_ERROR_STOP=1", "-f", &plain, "-d", &restored.connstr("plain")],
    )
    .await?;

    for name in ["db", "plain"] {
        let connstr = restored.connstr(name);
        let db = testkit::connect(&connstr).await?;
        // The application does not wait for anybody.
        write(&db, 31, 35).await?;
        db.batch_execute("update public.acc set balance = balance + 7 where id <= 10; insert into public.log (what, n) values ('restored', 1)")
            .await?;
        if name == "plain" {
            db.batch_execute("update public.by_statement set id = id - 1, v = 'restored'").await?;
        }
        let refused = db.query("select pgq.ticker('mail')", &[]).await;
        ensure!(refused.is_err_and(|e| format!("{e:?}").contains("Invalid PgQ state")), "a tick was made");
        let (good, said) = verify(&connstr, &[]).await?;
        ensure!(!good && said.contains("queue mail: was written by a server"), "{said}");
        // That of public.acc was generated anew by the update, this one waits.
        ensure!(
            said.contains("queue q: function pgq._capture_2() was generated for other objects"),
            "{said}"
        );
        // The same of the table that is captured by statement.
        ensure!(
            said.contains("queue q: function pgq._capture_4() was generated for other objects")
                == (name == "db"),
            "{said}"
        );
        let (good, said) = verify(&connstr, &["--repair"]).await?;
        ensure!(good && said.contains("repaired: queue mail"), "{said}");
        let (good, said) = verify(&connstr, &[]).await?;
        ensure!(good, "{said}");
        if name == "db" {
            db.batch_execute("update public.by_statement set id = id - 1, v = 'restored'").await?;
        }
        // Both ways: the key of the last row is gone, the others are updated, and there is a first one.
        let sql = "select string_agg(left(ev_type, 1), '' order by ev_id) from pgq.event_template where ev_extra1 = 'public.by_statement' and ev_data ~ 'restored|id=9'";
        let events: String = db.query_one(sql, &[]).await?.get(0);
        ensure!(events.ends_with("DUUUUUUUUUI"), "{name}: {events}");
        write(&db, 36, 40).await?;
        read_on(&db, (31, 40)).await?;
    }

    // The leaf goes on with the restored root under its old name.
    let location = restored.connstr("db");
    let sql = format!("select pgq_node.register_location('{QUEUE}', 'root', '{location}', false)");
    restored.psql("db", &sql)?;
    pair.target.psql("db", &sql)?;
    for ini in ["root", "pgqd"] {
        let text = std::fs::read_to_string(pair.ini(ini))?;
        let (from, to) = (old.replace("dbname=db", ""), location.replace("dbname=db", ""));
        ensure!(text.contains(&from), "{text}");
        std::fs::write(pair.ini(ini), text.replace(&from, &to))?;
    }
    pair.source = restored;
    pair.start_pgqd()?;
    pair.start_root()?;
    pair.start_leaf()?;
    let db = pair.source_db().await?;
    let load = Load::start(&pair.connstr(&pair.source), 1);
    pair.wait_replayed().await?;
    load.stop(&db).await?;
    pair.wait_replayed().await?;
    assert_identical(&db, &pair.target_db().await?, &["public.by_statement"]).await?;
    assert_identical(&db, &pair.target_db().await?, &TABLES).await
}

/// Nobody repairs anything, and the new server comes past the transaction ids of the dump by itself.
#[tokio::test]
async fn what_was_written_before_a_server_had_caught_up_is_not_passed_over() -> Result<()> {
    let burn = |cluster: &Cluster, count: i64| {
        let sql = format!(
            "do $$ begin for i in 1 .. {count} loop perform txid_current(); commit; end loop; end $$"
        );
        cluster.psql("postgres", &sql)
    };
    let old = testkit::own_cluster(|b| b.conf("fsync = off")).await?;
    burn(&old, 5000)?;
    let connstr = testkit::database_on(&old, "db")?;
    let db = testkit::connect(&connstr).await?;
    db.batch_execute(
        "select pgq.create_queue('quiet'), pgq.register_consumer('quiet', 'c');
         select pgq.insert_event('quiet', 't', 'd'), pgq.force_tick('quiet')",
    )
    .await?;
    tick(&db, "quiet").await?;
    fill(&db, &connstr).await?;
    drop(db);
    let dir = tempfile::tempdir()?;
    let dump = dir.path().join("db.dump").display().to_string();
    succeed(&old, "pg_dump", &["-Fc", "-f", &dump, "-d", &connstr]).await?;
    let new = testkit::own_cluster(|b| b.conf("fsync = off")).await?;
    for role in ["pgq_reader", "pgq_writer", "pgq_admin", "londiste_reader", "londiste_writer"] {
        new.psql("postgres", &format!("create role {role}"))?;
    }
    new.create_database("db")?;
    succeed(&new, "pg_restore", &["--exit-on-error", "-d", &new.connstr("db"), &dump]).await?;

    let connstr = new.connstr("db");
    let db = testkit::connect(&connstr).await?;
    let number = async |sql: &str| anyhow::Ok(db.query_one(sql, &[]).await?.get::<_, i64>(0));
    let ahead = "select max(txid_snapshot_xmax(tick_snapshot)) - txid_current() from pgq.tick";
    write(&db, 31, 35).await?;
    ensure!(number(ahead).await? > 0, "the new server was never behind");
    // Every step 2 would look as if all consumers were past it, and the next rotations would empty all tables.
    db.batch_execute(
        "update pgq.queue set queue_switch_step1 = 1, queue_switch_step2 = 2 where queue_name = 'mail'",
    )
    .await?;
    let refused = db.query("select pgq.maint_rotate_tables_step1('mail')", &[]).await;
    ensure!(
        refused.is_err_and(|e| format!("{e:?}").contains("maint failure")),
        "rotated while it was behind"
    );
    burn(&new, number(ahead).await? + 100)?;
    ensure!(number(ahead).await? < 0);

    write(&db, 36, 40).await?;
    let newest =
        "select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'mail'";
    let before = number(newest).await?;
    db.batch_execute("select pgq.force_tick('mail'), pgq.force_tick('quiet'); select pgq.ticker()").await?;
    let refused = db.query("select pgq.ticker('mail')", &[]).await;
    ensure!(refused.is_err_and(|e| format!("{e:?}").contains("Invalid PgQ state")), "a tick was made");
    ensure!(number("select pgq.tick_on_demand('mail')").await? == before);
    db.batch_execute("update pgq.queue set queue_external_ticker = true where queue_name = 'mail'").await?;
    let refused = db.query("select pgq.ticker('mail', 1000, now(), 1000000)", &[]).await;
    ensure!(refused.is_err_and(|e| format!("{e:?}").contains("Invalid PgQ state")), "a tick was made");
    db.batch_execute("update pgq.queue set queue_external_ticker = false where queue_name = 'mail'").await?;
    ensure!(number(newest).await? == before, "a tick was made");

    let (good, said) = verify(&connstr, &[]).await?;
    ensure!(!good && said.contains("queue mail: was written by a server"), "{said}");
    ensure!(!said.contains("queue quiet: was written by a server"), "nothing was written there: {said}");
    let (good, said) = verify(&connstr, &["--repair"]).await?;
    ensure!(good && said.contains("repaired: queue mail"), "{said}");
    let (good, said) = verify(&connstr, &[]).await?;
    ensure!(good, "{said}");
    read_on(&db, (31, 40)).await
}

/// pg_upgrade gives a server another name and keeps its transaction ids. Between the look at the number of the last event and the
/// snapshot of a tick others may have drawn both, and committed.
#[tokio::test]
async fn a_server_that_keeps_its_ids_is_not_taken_for_a_restored_one() -> Result<()> {
    let database = testkit::database().await?;
    let (db, other) = (database.connect().await?, database.connect().await?);
    db.query("select pgq.create_queue('mail'), pgq.register_consumer('mail', 'c')", &[]).await?;
    write(&db, 1, 3).await?;
    tick(&db, "mail").await?;
    db.batch_execute("begin; select txid_current()").await?;
    write(&other, 4, 4).await?;
    db.batch_execute(
        "insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
         select t.tick_queue, t.tick_id + 1, t.tick_event_seq from pgq.tick t order by t.tick_id desc limit 1;
         select setval(queue_tick_seq::regclass, currval(queue_tick_seq::regclass) + 1) from pgq.queue;
         commit;
         delete from pgq.queue_server",
    )
    .await?;
    let (good, said) = verify(database.connstr(), &[]).await?;
    ensure!(good, "{said}");
    let untouched = db.query_one("select pgq.rebase_transactions()", &[]).await?;
    ensure!(untouched.get::<_, i32>(0) == 0, "ids were changed that fit");
    write(&db, 5, 5).await?;
    tick(&db, "mail").await?;
    ensure!(rest(&db, "c").await? == numbers(1, 5));
    Ok(())
}

/// Parts of a database: what is not there is named.
#[tokio::test]
async fn parts_of_a_database() -> Result<()> {
    let db = testkit::empty_database().await?;
    skytools(["install", "--db", db.connstr()])?.succeed(LIMIT).await?;
    db.psql(
        "create table public.t (id int primary key, v text); select pgq.create_queue('mail');
         select pgq.capture_table('mail', 'public.t'); insert into public.t values (1, 'x');
         create table public.s (id int primary key, v text); select pgq.capture_table('mail', 'public.s', 'form=statement')",
    )?;
    let cluster = testkit::shared_cluster()?;
    let dir = tempfile::tempdir()?;
    let path = |name: &str| Path::join(dir.path(), name).display().to_string();

    // The schemas of the modules alone: capture of tables that are not there.
    succeed(cluster, "pg_dump", &["-Fc", "-n", "pgq", "-f", &path("pgq.dump"), "-d", db.connstr()]).await?;
    let pgq = testkit::empty_database().await?;
    succeed(cluster, "pg_restore", &["--exit-on-error", "-d", pgq.connstr(), &path("pgq.dump")]).await?;
    let (good, said) = verify(pgq.connstr(), &["pgq"]).await?;
    ensure!(!good && said.contains("table public.t, queue mail: the table is gone"), "{said}");
    let (good, said) = verify(pgq.connstr(), &["--repair", "pgq"]).await?;
    ensure!(good, "{said}");
    pgq.psql("select pgq.insert_event('mail', 'a', 'b')")?;

    // The application's schema alone: its triggers need functions that only the other has.
    succeed(cluster, "pg_dump", &["-Fc", "-n", "public", "-f", &path("public.dump"), "-d", db.connstr()])
        .await?;
    let process = run(cluster, "pg_restore", &["-d", pgq.connstr(), &path("public.dump")]).await?;
    ensure!(process.stderr().contains("_capture_1() does not exist"), "{}", process.output());
    let captured = "select tgname from pg_trigger where tgrelid = 'public.t'::regclass order by 1";
    ensure!(pgq.psql(captured)?.trim() == "_londiste_mail_truncate", "{}", pgq.psql(captured)?);

    // Without the rows of pgq.capture: the triggers tell what was registered.
    succeed(
        cluster,
        "pg_dump",
        &["-Fc", "--exclude-table-data=pgq.capture", "-f", &path("rows.dump"), "-d", db.connstr()],
    )
    .await?;
    let rows = testkit::empty_database().await?;
    succeed(cluster, "pg_restore", &["--exit-on-error", "-d", rows.connstr(), &path("rows.dump")]).await?;
    let (good, said) = verify(rows.connstr(), &["--repair"]).await?;
    ensure!(good && said.contains("is not registered"), "{said}");
    rows.psql("insert into public.t values (2, 'y'); update public.t set v = 'z' where id = 1")?;
    let events = rows.psql("select ev_type || ' ' || ev_data from pgq.event_template order by ev_id")?;
    ensure!(events.trim() == "I:id id=1&v=x\nI:id id=2&v=y\nU:id id=1&v=z", "{events}");
    let forms = rows.psql("select rel_name || ' ' || form from pgq.capture order by 1")?;
    ensure!(forms.trim() == "s statement\nt row", "{forms}");
    Ok(())
}
