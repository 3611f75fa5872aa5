//! A living installation of the original is taken over: Debian's extensions in the databases, Python's programs and Debian's
//! pgqd at work, an application that writes all the while; and one that was made of plain SQL files, without C.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA};
use e2e::mixed::{Mixed, Side};
use e2e::pair::LIMIT;
use testkit::{skytools, wait_for};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const NAMES: [&str; 2] = ["public.acc", "public.Order \"Line\""];
const TABLES: [&str; 2] = ["public.acc", "public.\"Order \"\"Line\"\"\""];

/// How a number becomes an event of the queue `mail`.
const MAIL: &str = "select pgq.insert_event('mail', 'n', $1::int4::text)";

/// Writes numbers by `sql` until it is stopped; how many there were.
fn writer(connstr: String, sql: &'static str, stop: watch::Receiver<bool>) -> JoinHandle<Result<i32>> {
    tokio::spawn(async move {
        let db = testkit::connect(&connstr).await?;
        let mut n = 0;
        while !*stop.borrow() {
            n += 1;
            db.query(sql, &[&n]).await?;
        }
        Ok(n)
    })
}

/// The consumer `reader` of a queue, which goes on from `open`, a batch that was opened long ago; the numbers it got, in order.
fn reader(
    connstr: String,
    queue: &'static str,
    open: i64,
    mut done: watch::Receiver<i32>,
) -> JoinHandle<Result<Vec<i32>>> {
    tokio::spawn(async move {
        let db = testkit::connect(&connstr).await?;
        let (mut got, mut batch) = (Vec::new(), Some(open));
        loop {
            if let Some(id) = batch.take() {
                let sql = "select substring(ev_data from '[0-9]+')::int4 from pgq.get_batch_events($1)";
                got.extend(db.query(sql, &[&id]).await?.iter().map(|r| r.get::<_, i32>(0)));
                db.query("select pgq.finish_batch($1)", &[&id]).await?;
            }
            batch = db.query_one("select pgq.next_batch($1, 'reader')", &[&queue]).await?.get(0);
            if batch.is_none() {
                let last = *done.borrow();
                if last > 0 && got.len() >= usize::try_from(last)? {
                    return Ok(got);
                }
                // Nothing to read: until the next tick, or the end.
                let pause = tokio::time::sleep(std::time::Duration::from_millis(50));
                tokio::select! { () = pause => {}, changed = done.changed() => changed.context("the test is gone")? }
            }
        }
    })
}

async fn install(connstr: &str) -> Result<String> {
    skytools(["install", "--db", connstr, "--lock-timeout=60"])?.succeed(LIMIT).await
}

async fn verified(connstr: &str) -> Result<()> {
    skytools(["verify", "--db", connstr])?.succeed(LIMIT).await.map(drop)
}

/// Functions of the row triggers of the replicated tables.
const CAPTURE: &str =
    "select string_agg(distinct regexp_replace(p.proname, '[0-9]+', 'N'), ' ') from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid where t.tgname = '_londiste_q'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_installation_is_taken_over() -> Result<()> {
    let mut mixed = Mixed::new(Side::Original, Side::Original).await?;
    mixed.root.psql(SCHEMA)?;
    mixed.start(Side::Original, Side::Original).await?;
    mixed.root.run(Side::Original, &[&["add-table"], &NAMES[..]].concat()).await?;
    mixed.leaf.run(Side::Original, &["wait-root"]).await?;
    mixed.leaf.run(Side::Original, &[&["add-table"], &NAMES[..], &["--create"]].concat()).await?;
    mixed.wait_in_sync().await?;

    // A plain queue: one batch is open, and stays so until the installation is over.
    let root = mixed.root.db().await?;
    root.batch_execute(
        "select pgq.create_queue('mail'); select pgq.register_consumer('mail', 'reader');
         update pgq.queue set queue_ticker_max_lag = '0.1 seconds', queue_ticker_idle_period = '0.2 seconds',
                queue_rotation_period = '2 seconds' where queue_name = 'mail'",
    )
    .await?;
    let (stop, stopped) = watch::channel(false);
    let (done, finished) = watch::channel(0);
    let mail = writer(mixed.root.connstr(), MAIL, stopped);
    let load = Load::keeping_keys(&mixed.root.connstr(), 2);
    let open = wait_for("a batch", LIMIT, || async {
        Ok(root.query_one("select pgq.next_batch('mail', 'reader')", &[]).await?.get::<_, Option<i64>>(0))
    })
    .await?;
    let content = "select ev_id, ev_data from pgq.get_batch_events($1)";
    let events = root.query(content, &[&open]).await?.iter().map(|r| r.get(0)).collect::<Vec<i64>>();

    // Somebody holds a lock: told, nothing half done, and the application goes on.
    let holder = mixed.root.db().await?;
    holder
        .batch_execute("set application_name = 'long report'; begin; select count(*) from pgq.subscription")
        .await?;
    let connstr = mixed.root.connstr();
    let blocked = skytools(["install", "--lock-timeout=1", "--db", &connstr])?.run(LIMIT).await?;
    ensure!(!blocked.status().is_some_and(|s| s.success()), "{}", blocked.output());
    let said = blocked.stderr();
    ensure!(said.contains("nothing was installed or changed") && said.contains("long report"), "{said}");
    let extensions = "select count(*) from pg_extension where extname in ('pgq', 'pgq_node', 'londiste')";
    ensure!(mixed.root.psql(extensions)?.trim() == "3");
    ensure!(mixed.root.psql("select to_regclass('pgq.subscription_key')")?.trim().is_empty());
    mixed.wait_progress().await?;
    holder.batch_execute("commit").await?;

    // The root, while everything runs.
    let began = Instant::now();
    let said = install(&connstr).await?;
    eprintln!("installed in {:?}:\n{said}", began.elapsed());
    ensure!(mixed.root.psql(extensions)?.trim() == "0");
    verified(&connstr).await?;
    let now = root.query(content, &[&open]).await?.iter().map(|r| r.get(0)).collect::<Vec<i64>>();
    ensure!(now == events, "the open batch has other events: {} and {}", now.len(), events.len());
    let mail_reader = reader(connstr.clone(), "mail", open, finished);
    mixed.wait_progress().await?;
    ensure!(mixed.root.psql(CAPTURE)?.trim() == "logutriga", "{}", mixed.root.psql(CAPTURE)?);
    // The leaf; Python's worker is not even restarted.
    install(&mixed.leaf.connstr()).await?;
    verified(&mixed.leaf.connstr()).await?;
    mixed.wait_progress().await?;

    // Capture is switched under load, and back, and there again.
    for (form, function) in [("row", "_capture_N"), ("generic", "logutriga"), ("row", "_capture_N")] {
        let form = format!("--trigger-form={form}");
        mixed.root.run(Side::Ours, &["refresh-trigger", "--all", &form]).await?;
        ensure!(mixed.root.psql(CAPTURE)?.trim() == function, "{}", mixed.root.psql(CAPTURE)?);
        mixed.wait_progress().await?;
    }
    verified(&connstr).await?;

    load.stop(&root).await?;
    stop.send_replace(true);
    let written = mail.await??;
    done.send_replace(written);
    let got = tokio::time::timeout(LIMIT, mail_reader).await.context("the reader hangs")???;
    ensure!(got == (1..=written).collect::<Vec<i32>>(), "{written} events were written, {} came", got.len());
    mixed.wait_replayed().await?;
    assert_identical(&root, &mixed.leaf.db().await?, &TABLES).await?;

    // The rest of the programs.
    mixed.start_pgqd(Side::Ours)?;
    for side in [Side::Original, Side::Ours] {
        mixed.leaf.stop_worker(side).await?;
        mixed.leaf.start_worker(Side::Ours)?;
        root.batch_execute("update public.acc set balance = balance + 1 where id % 100 = 0").await?;
        mixed.wait_replayed().await?;
    }
    assert_identical(&root, &mixed.leaf.db().await?, &TABLES).await?;
    capture_is_shown(&mixed).await
}

/// What is wrong with capture is told by `tables --verbose` and `status`, and `refresh-trigger` mends what it may.
async fn capture_is_shown(mixed: &Mixed) -> Result<()> {
    let tables = mixed.root.run(Side::Ours, &["tables", "--verbose"]).await?;
    ensure!(tables.contains("capture") && tables.contains("row"), "{tables}");
    let fails = async |args: &[&str], code: i32, words: &[&str]| -> Result<()> {
        let process = mixed.root.command(Side::Ours, args)?.run(LIMIT).await?;
        let said = process.output();
        ensure!(process.status().and_then(|s| s.code()) == Some(code), "{args:?}: {said}");
        ensure!(words.iter().all(|w| said.contains(w)), "{args:?}: {said}");
        Ok(())
    };
    let shown = async |words: &[&str]| -> Result<()> {
        fails(&["tables", "--verbose"], 1, words).await?;
        fails(&["status", "--check"], 3, words).await?;
        let status = mixed.root.run(Side::Ours, &["status"]).await?;
        ensure!(
            status.contains("ERR: table public.acc: ") && words.iter().all(|w| status.contains(w)),
            "{status}"
        );
        Ok(())
    };
    mixed.root.psql("alter table public.acc disable trigger _londiste_q")?;
    shown(&["trigger _londiste_q is disabled", "alter table public.acc enable trigger _londiste_q"]).await?;
    mixed.root.run(Side::Ours, &["refresh-trigger", "acc"]).await?;
    mixed.root.psql("drop trigger _londiste_q on public.acc")?;
    shown(&["trigger _londiste_q is gone", "refresh-trigger public.acc"]).await?;
    mixed.root.run(Side::Ours, &["refresh-trigger", "acc"]).await?;
    mixed
        .root
        .psql("update pgq.capture set lost_since = now(), lost_reason = 'a cat' where rel_name = 'acc'")?;
    shown(&["changes were not captured since", "a cat", "refresh-trigger public.acc", "resync"]).await?;
    mixed.root.run(Side::Ours, &["refresh-trigger", "acc"]).await?;
    mixed.root.run(Side::Ours, &["tables", "--verbose"]).await?;
    // a generic trigger of the original's that stays generic: another is put beside it, with its arguments
    mixed.root.psql(
        "begin; select pgq.uncapture_table('q', 'public.acc');
         create trigger _londiste_q after insert or update or delete on public.acc for each row execute function pgq.logutriga('q', 'when=id > 0');
         create trigger _londiste_q_truncate after truncate on public.acc execute function pgq.sqltriga('q'); commit",
    )?;
    let kept = mixed.root.run(Side::Ours, &["refresh-trigger", "acc"]).await?;
    ensure!(kept.contains("keeps the order of changes now"), "{kept}");
    let kept = mixed.root.run(Side::Ours, &["refresh-trigger", "acc"]).await?;
    ensure!(kept.contains("nothing to do"), "{kept}");
    let triggers = mixed.root.psql(
        "select string_agg(concat_ws(' ', tgname, tgtype, position('when=id > 0'::bytea in tgargs) > 0), ',' order by tgname)
           from pg_trigger where tgrelid = 'public.acc'::regclass and tgname ~ 'londiste_q$'",
    )?;
    ensure!(triggers.trim() == "!_londiste_q 25 t,_londiste_q 5 t", "{triggers}");
    mixed.root.psql("update public.acc set balance = balance + 1 where id = 200")?;
    mixed.wait_replayed().await?;
    assert_identical(&mixed.root.db().await?, &mixed.leaf.db().await?, &TABLES).await?;
    mixed.root.run(Side::Ours, &["status", "--check"]).await.map(drop)
}

/// Installs the original from its plain SQL files, as the owner of the database, who is no superuser.
fn install_original_without_c(cluster: &Cluster) -> Result<()> {
    let contrib = format!("/usr/share/postgresql/{}/contrib", cluster.installation().major());
    let mut command = cluster.psql_command("db")?;
    command.args(["-q", "-o", "/dev/null", "-c", "set session authorization shop"]);
    for file in
        ["pgq_pl_only", "pgq_node", "londiste", "newgrants_pgq", "newgrants_pgq_node", "newgrants_londiste"]
    {
        command.args(["-f".to_owned(), format!("{contrib}/{file}.sql")]);
    }
    let output = command.output().context("running psql")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the files of Debian's packages in {contrib}: {said}");
    Ok(())
}

/// Rows that each of the generic triggers writes in its own way; what they wrote.
async fn shapes(db: &Client) -> Result<Vec<String>> {
    db.batch_execute(
        r#"insert into shapes (id, t, b, n, raw, doc, seen) values
               (1, E'a b&%=''\u00fc', true, 1.50, '\x00ff5c', '{"k": [1, null]}', 1), (2, '', false, null, '', 'null', null);
           update shapes set t = 'x', seen = 2 where id = 1;
           update shapes set seen = 3 where id = 1;
           update shapes set b = null, n = -0.1 where id = 2;
           delete from shapes where id = 1;
           truncate shapes;
           insert into inbox values (1, 'for the queue only')"#,
    )
    .await?;
    let sql = "select row(ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)::text
                 from pgq.get_batch_events($1) order by ev_id";
    tick(db, "shapes").await?;
    let mut events = Vec::new();
    // The ticker may have cut them in two.
    loop {
        let Some(batch) =
            db.query_one("select pgq.next_batch('shapes', 'reader')", &[]).await?.get::<_, Option<i64>>(0)
        else {
            return Ok(events);
        };
        events.extend(db.query(sql, &[&batch]).await?.iter().map(|row| row.get::<_, String>(0)));
        db.query("select pgq.finish_batch($1)", &[&batch]).await?;
    }
}

/// A build of the original without C, owned by somebody who is no superuser, is taken over at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_without_c_is_taken_over() -> Result<()> {
    let debian = testkit::debian_originals()?.installation;
    let cluster = testkit::own_cluster(move |b| b.installation(&debian).conf("fsync = off")).await?;
    cluster.psql("postgres", "create role shop login createrole; create role app login")?;
    cluster.psql("postgres", "create database db owner shop")?;
    install_original_without_c(&cluster)?;
    let as_role = |role: &str| cluster.connstr("db").replace("user=postgres", &format!("user={role}"));
    let owner = as_role("shop");
    let db = testkit::connect(&owner).await?;
    db.batch_execute(SHOP).await?;
    let in_c = "select count(*) from pg_proc p join pg_language l on l.oid = p.prolang
                 where pronamespace = 'pgq'::regnamespace and lanname not in ('sql', 'plpgsql')";
    ensure!(cluster.psql("db", in_c)?.trim() == "0", "this is not the build without C");

    // An event was put back, and waits until long after.
    db.batch_execute("select pgq.insert_event('later', 'n', v) from unnest('{a,b,c}'::text[]) v").await?;
    tick(&db, "later").await?;
    db.batch_execute(
        "select pgq.event_retry(b, (select ev_id from pgq.get_batch_events(b) where ev_data = 'b'), 0), pgq.finish_batch(b)
           from pgq.next_batch('later', 'reader') b",
    )
    .await?;
    // An application that owns nothing writes events, and rows of a captured table; each queue has an open batch.
    let (stop, stopped) = watch::channel(false);
    let (ticked, until) = watch::channel(false);
    let (mail_done, mail_end) = watch::channel(0);
    let (rows_done, rows_end) = watch::channel(0);
    let mail = writer(as_role("app"), MAIL, stopped.clone());
    let rows = writer(as_role("app"), "insert into orders values ($1)", stopped);
    let ticks = ticker(owner.clone(), until);
    let open = [batch_of(&db, "mail").await?, batch_of(&db, "orders").await?];
    let batches = "select string_agg(concat_ws(' ', b, ev_id, ev_type, ev_data), '; ' order by b, ev_id)
                     from unnest($1::int8[]) b, pgq.get_batch_events(b)";
    let events: String = db.query_one(batches, &[&&open[..]]).await?.get(0);
    let nodes: String = db.query_one(NODES, &[]).await?.get(0);
    let written = shapes(&db).await?;
    ensure!(written.len() == 16, "{written:#?}");

    // Triggers that work only there stop the installation before anything is changed.
    db.batch_execute(
        "create table odd (id int primary key);
         create trigger lower before insert on odd for each row execute function pgq.logutriga('mail', 'skip');
         create trigger behind after insert on odd for each row execute function pgq.sqltriga('mail', 'backup', 'SKIP');
         create trigger fine after insert on odd for each row execute function pgq.logutriga('skip')",
    )
    .await?;
    let refused = skytools(["install", "--db", &owner])?.run(LIMIT).await?;
    ensure!(!refused.status().is_some_and(|s| s.success()), "{}", refused.output());
    let said = refused.stderr();
    for part in [
        "trigger lower on table public.odd",
        "trigger behind on table public.odd",
        "written SKIP",
        "CREATE OR REPLACE TRIGGER",
    ] {
        ensure!(said.contains(part), "{part} is not in: {said}");
    }
    ensure!(!said.contains("trigger fine"), "{said}");
    ensure!(cluster.psql("db", "select pgq.version() is null")?.trim() == "t");
    db.batch_execute("drop trigger lower on odd; drop trigger behind on odd").await?;

    let said = install(&owner).await?;
    ensure!(said.contains("upgraded from SQL files that tell no version"), "{said}");
    verified(&owner).await?;
    let now: String = db.query_one(batches, &[&&open[..]]).await?.get(0);
    ensure!(now == events, "the open batches have other events:\n{events}\n{now}");
    let now: String = db.query_one(NODES, &[]).await?.get(0);
    ensure!(now == nodes, "nodes and tables:\n{nodes}\n{now}");
    let now = shapes(&db).await?;
    ensure!(now == written, "the triggers write other events:\n{written:#?}\n{now:#?}");

    // Everything goes on: the application, which noticed nothing, the batches, the event that was put back.
    let mail_reader = reader(as_role("app"), "mail", open[0], mail_end);
    let rows_reader = reader(as_role("app"), "orders", open[1], rows_end);
    db.query("select pgq.maint_retry_events()", &[]).await?;
    tick(&db, "later").await?;
    let again = wait_for("the event that was put back", LIMIT, || async {
        let batch: Option<i64> = db.query_one("select pgq.next_batch('later', 'reader')", &[]).await?.get(0);
        let sql = "select string_agg(ev_data || ev_retry, ' ') from pgq.get_batch_events($1)";
        let found = db.query_one(sql, &[&batch]).await?.get::<_, Option<String>>(0);
        db.query("select pgq.finish_batch($1)", &[&batch]).await?;
        Ok(found)
    })
    .await?;
    ensure!(again == "b1", "{again}");
    stop.send_replace(true);
    for (writer, done, reader) in [(mail, mail_done, mail_reader), (rows, rows_done, rows_reader)] {
        let count = writer.await??;
        done.send_replace(count);
        let got = tokio::time::timeout(LIMIT, reader).await.context("a reader hangs")???;
        ensure!(got == (1..=count).collect::<Vec<i32>>(), "{count} were written, {} came", got.len());
    }
    ticked.send_replace(true);
    ticks.await?
}

/// Nodes, tables and sequences of a cascade.
const NODES: &str = "select jsonb_build_array(
    (select jsonb_agg(to_jsonb(n) - 'worker_last_tick') from pgq_node.get_node_info('cascade') n),
    (select jsonb_agg(to_jsonb(l) order by node_name) from pgq_node.get_queue_locations('cascade') l),
    (select jsonb_agg(to_jsonb(s)) from pgq_node.local_state s),
    (select jsonb_agg(to_jsonb(t)) from londiste.table_info t),
    (select jsonb_agg(to_jsonb(s)) from londiste.seq_info s))::text";

/// The database of [`an_original_without_c_is_taken_over`].
const SHOP: &str = "
    grant pgq_writer, pgq_reader to app;
    select pgq.create_queue(q), pgq.register_consumer(q, 'reader') from unnest('{mail,orders,shapes,later}'::text[]) q;
    update pgq.queue set queue_ticker_max_lag = '0.1 seconds', queue_ticker_idle_period = '0.2 seconds';
    select pgq_node.register_location('cascade', 'root', 'dbname=db', false);
    select pgq_node.create_node('cascade', 'root', 'root', 'root_worker', null, null, null);
    -- a tick would move the root's watermark while it is compared
    update pgq.queue set queue_ticker_paused = true where queue_name = 'cascade';
    create table orders (id int primary key);
    grant insert on orders to app;
    create trigger capture after insert or update or delete on orders
        for each row execute function pgq.logutriga('orders');
    create table acc (id int primary key);
    create sequence numbers;
    select londiste.local_add_table('cascade', 'public.acc'), londiste.local_add_seq('cascade', 'public.numbers');
    create table shapes (id int primary key, t text, b bool, n numeric, raw bytea, doc jsonb, seen int);
    create trigger url after insert or update or delete on shapes
        for each row execute function pgq.logutriga('shapes', 'ignore=seen', 'backup', 'ev_extra3=''url''');
    create trigger sql after insert or update or delete on shapes
        for each row execute function pgq.sqltriga('shapes', 'when=id = 1');
    create trigger json after insert or update or delete on shapes
        for each row execute function pgq.jsontriga('shapes', 'pkey=id', 'ignore=seen');
    create trigger empty after truncate on shapes for each statement execute function pgq.logutriga('shapes');
    create table inbox (id int primary key, t text);
    create trigger take before insert on inbox
        for each row execute function pgq.logutriga('shapes', 'SKIP', 'ev_type=''inbox''')";

/// Makes a tick in a transaction of its own, so that it covers what was written before.
async fn tick(db: &Client, queue: &str) -> Result<()> {
    db.query("select pgq.force_tick($1)", &[&queue]).await?;
    db.query("select pgq.ticker($1)", &[&queue]).await?;
    Ok(())
}

/// Ticks all queues until it is stopped.
fn ticker(connstr: String, mut stop: watch::Receiver<bool>) -> JoinHandle<Result<()>> {
    tokio::spawn(async move {
        let db = testkit::connect(&connstr).await?;
        while !*stop.borrow() {
            db.query("select pgq.ticker()", &[]).await?;
            let pause = tokio::time::sleep(std::time::Duration::from_millis(50));
            tokio::select! { () = pause => {}, changed = stop.changed() => changed.context("the test is gone")? }
        }
        Ok(())
    })
}

/// The first batch of a queue's `reader` that has events.
async fn batch_of(db: &Client, queue: &str) -> Result<i64> {
    wait_for("a batch", LIMIT, || async {
        let batch: Option<i64> = db.query_one("select pgq.next_batch($1, 'reader')", &[&queue]).await?.get(0);
        let empty = "select pgq.finish_batch($1) where not exists (select from pgq.get_batch_events($1))";
        Ok(if db.query(empty, &[&batch]).await?.is_empty() { batch } else { None })
    })
    .await
}
