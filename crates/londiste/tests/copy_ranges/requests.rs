//! What an operator asks for while a copy by ranges is under way, and what others do to the table on the source.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::wait_for;

use crate::fixture::{BEFORE, Fixture, ONE, ROWS, THREE, Writers, count};
use crate::support::{PATIENCE, admin};

const RANGES: &str = "londiste.copy_range";
const STATES: &str = "londiste.table_info";

/// `londiste INI resync public.t`.
async fn resync(f: &Fixture) -> Result<()> {
    f.londiste(&["resync", "public.t"]).await.map(drop)
}

/// Waits until a session of the leaf waits for a lock for which the condition holds.
async fn until_blocked(f: &Fixture, condition: &str) -> Result<()> {
    wait_for("somebody to wait for a row or a table", PATIENCE, || async {
        let sql = format!(
            "select count(*) from pg_locks where not granted and {condition} \
             and pid in (select pid from pg_stat_activity where datname = current_database())"
        );
        Ok((count(&f.keeper, &sql).await? > 0).then_some(()))
    })
    .await
}

/// Who waits for a row that another transaction has changed.
const FOR_A_ROW: &str = "locktype in ('transactionid', 'tuple')";

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_table_gives_back_what_was_dropped() -> Result<()> {
    let f = Fixture::new().await?;
    f.shut(RANGES, "new.snapshot is not null and new.range_nr = 5").await?;
    let worker = f.worker(THREE)?;
    f.until_waiting(1).await?;
    let remover = f.pair.leaf.connect().await?;
    let pid: i32 = remover.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let removal = tokio::spawn(async move {
        admin(&remover, "select * from londiste.local_remove_table('q', 'public.t')").await
    });
    until_blocked(&f, &format!("pid = {pid}")).await?;
    f.open(RANGES).await?;
    removal.await??;
    f.assert_objects().await?;
    ensure!(count(&f.pair.on_leaf, "select count(*) from t").await? == 0);
    f.pair.until_no_copy_consumers().await?;
    f.pair.add_on_leaf("public.t", "").await?;
    f.until_equal().await?;
    worker.stop().await
}

/// Three connections hold the table in turn; who asks for a new copy waits for the ranges under way, and for no other.
#[tokio::test(flavor = "multi_thread")]
async fn resync_waits_only_for_the_ranges_under_way() -> Result<()> {
    let f = Fixture::new().await?;
    let writers = Writers::start(&f.pair).await?;
    f.shut(RANGES, "new.snapshot is not null and new.range_nr > 4").await?;
    let worker = f.worker(THREE)?;
    f.until_waiting(3).await?;
    let first = count(&f.keeper, "select count(*) from londiste.copy_range").await?;
    let (asked, opened) = tokio::join!(resync(&f), async {
        until_blocked(&f, FOR_A_ROW).await?;
        f.open(RANGES).await
    });
    asked.and(opened)?;
    writers.finish().await?;
    f.until_equal().await?;
    let old = "layout = (select layout from done limit 1)";
    let (before, all) = (f.done(old).await?, f.done("true").await?);
    ensure!(before <= BEFORE + 3, "{before} of {first} ranges were loaded before the table was reset");
    ensure!(all > before && f.done(&format!("not {old}")).await? >= first, "{all} loads of {first} ranges");
    worker.stop().await
}

/// After a resumed copy has its rows, and before it is handed over.
#[tokio::test(flavor = "multi_thread")]
async fn resync_of_a_resumed_copy_that_catches_up() -> Result<()> {
    let f = Fixture::interrupted().await?;
    let writers = Writers::start(&f.pair).await?;
    f.shut(STATES, "new.merge_state like 'wanna-sync%'").await?;
    let worker = f.worker(ONE)?;
    // Batches are replayed on top of the load until the writers' events before it are through.
    f.until_waiting(1).await?;
    writers.finish().await?;
    worker.kill().await;
    f.open(STATES).await?;
    let worker = f.worker(ONE)?;
    f.pair.until_state("public.t", &["catching-up", "wanna-sync", "do-sync", "ok"]).await?;
    resync(&f).await?;
    f.until_equal().await?;
    // and once more, of a table that is complete
    let before = f.done("true").await?;
    resync(&f).await?;
    wait_for("the new copy to begin", PATIENCE, || async {
        Ok((f.done("true").await? > before).then_some(()))
    })
    .await?;
    f.until_equal().await?;
    worker.stop().await
}

/// A session that stands behind the request of somebody who waits for the copy would never move on.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_source_table_waits_for_the_copy_and_the_copy_not_for_it() -> Result<()> {
    let f = Fixture::new().await?;
    // The copy has its snapshot, and its first lock on the source, and waits for the table on the leaf.
    let reader = f.pair.leaf.connect().await?;
    reader.batch_execute("begin; lock table t in access share mode").await?;
    let worker = f.worker(THREE)?;
    until_blocked(&f, "relation = 't'::regclass and mode = 'AccessExclusiveLock'").await?;
    let changer = f.pair.root.connect().await?;
    let change = tokio::spawn(async move { changer.batch_execute("vacuum full t").await });
    wait_for("the change to wait", PATIENCE, || async {
        let sql = "select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and not granted";
        Ok((count(&f.pair.on_root, sql).await? > 0).then_some(()))
    })
    .await?;
    reader.batch_execute("commit").await?;
    ensure!(f.until_equal().await? == i64::try_from(ROWS)?);
    tokio::time::timeout(Duration::from_secs(60), change).await???;
    f.assert_once().await?;
    worker.stop().await
}
