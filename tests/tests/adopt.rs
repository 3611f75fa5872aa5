//! A living installation of the original is taken over: Debian's extensions in the databases, Python's programs and Debian's
//! pgqd at work, an application that writes all the while.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA};
use e2e::mixed::{Mixed, Side};
use e2e::pair::LIMIT;
use testkit::{skytools, wait_for};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NAMES: [&str; 2] = ["public.acc", "public.Order \"Line\""];
const TABLES: [&str; 2] = ["public.acc", "public.\"Order \"\"Line\"\"\""];

/// Writes numbers into the queue `mail` until it is stopped; the longest wait for one event, and how many there were.
fn writer(connstr: String, stop: watch::Receiver<bool>) -> JoinHandle<Result<i32>> {
    tokio::spawn(async move {
        let db = testkit::connect(&connstr).await?;
        let mut n = 0;
        while !*stop.borrow() {
            n += 1;
            db.query("select pgq.insert_event('mail', 'n', $1::int4::text)", &[&n]).await?;
        }
        Ok(n)
    })
}

/// A consumer of `mail` that goes on from `open`, a batch that was opened long ago; what it got, in order.
fn reader(connstr: String, open: i64, mut done: watch::Receiver<i32>) -> JoinHandle<Result<Vec<i32>>> {
    tokio::spawn(async move {
        let db = testkit::connect(&connstr).await?;
        let (mut got, mut batch) = (Vec::new(), Some(open));
        loop {
            if let Some(id) = batch.take() {
                let sql = "select ev_data::int4 from pgq.get_batch_events($1)";
                got.extend(db.query(sql, &[&id]).await?.iter().map(|r| r.get::<_, i32>(0)));
                db.query("select pgq.finish_batch($1)", &[&id]).await?;
            }
            batch = db.query_one("select pgq.next_batch('mail', 'reader')", &[]).await?.get(0);
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
    skytools(["install", "--db", connstr])?.succeed(LIMIT).await
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
    let mail = writer(mixed.root.connstr(), stopped);
    let load = Load::start(&mixed.root.connstr(), 2);
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
    let mail_reader = reader(connstr.clone(), open, finished);
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
    mixed.root.psql("update public.acc set balance = balance + 1 where id = 200")?;
    mixed.wait_replayed().await?;
    assert_identical(&mixed.root.db().await?, &mixed.leaf.db().await?, &TABLES).await?;
    mixed.root.run(Side::Ours, &["status", "--check"]).await.map(drop)
}
