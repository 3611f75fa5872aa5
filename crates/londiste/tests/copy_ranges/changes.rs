//! Tables that are changed between a kill and the copy that goes on: what was loaded may not serve any more.

use anyhow::{Context, Result, ensure};
use testkit::wait_for;

use crate::fixture::{BEFORE, Fixture, ONE, ROWS, TABLE, THREE, count};
use crate::support::{PATIENCE, admin};

/// A change of the source's table, one of the target's, and how many rows there are then.
struct Change {
    what: &'static str,
    source: &'static str,
    target: &'static str,
    /// Whether what was loaded still serves.
    serves: bool,
}

const CHANGES: &[Change] = &[
    Change { what: "nothing", source: "select 1", target: "select 1", serves: true },
    Change {
        what: "vacuum, and rows in new places",
        source: "delete from t where id % 7 = 0; update t set v = v || '.' where id % 3 = 0; vacuum t; update t set x = -x where id % 2 = 0",
        target: "select 1",
        serves: true,
    },
    Change {
        what: "VACUUM FULL",
        source: "delete from t where id % 5 = 0; vacuum full t",
        target: "select 1",
        serves: false,
    },
    Change {
        what: "CLUSTER",
        source: "update t set v = reverse(v) where id % 2 = 0; cluster t using t_v; alter table t set without cluster",
        target: "select 1",
        serves: false,
    },
    Change {
        what: "TRUNCATE, and other rows",
        source: "truncate t; insert into t (id, u, v, n, x) select g, g, 'after' || g, 1, 7 from generate_series(100, 20000) g",
        target: "select 1",
        serves: false,
    },
    Change {
        what: "a rewrite of the target's table",
        source: "delete from t where id % 11 = 0",
        target: "vacuum full t",
        serves: false,
    },
    Change {
        what: "a column dropped and added again on the source",
        source: "alter table t drop column x; alter table t add column x int; select pgq.refresh_capture('q'); update t set x = 5 where id % 2 = 0",
        target: "select 1",
        serves: false,
    },
    Change {
        what: "a column dropped and added again on the target",
        source: "update t set v = 'dropped' where id = 1",
        target: "alter table t drop column x; alter table t add column x int",
        serves: false,
    },
    Change {
        what: "a column more on both sides",
        source: "alter table t add column y int default 3; select pgq.refresh_capture('q'); update t set y = 4 where id % 2 = 0",
        target: "alter table t add column y int",
        serves: false,
    },
    Change {
        what: "a type that is written otherwise",
        source: "alter table t alter column x type bigint; select pgq.refresh_capture('q'); update t set x = 5000000000 where id % 2 = 0",
        target: "alter table t alter column x type bigint",
        serves: false,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_serves_only_while_its_places_do() -> Result<()> {
    let f = Fixture::new().await?;
    for change in CHANGES {
        let doing = || format!("after {}", change.what);
        f.interrupt().await.with_context(doing)?;
        for sql in change.source.split("; ") {
            f.pair.on_root.batch_execute(sql).await.with_context(|| sql.to_owned())?;
        }
        for sql in change.target.split("; ") {
            f.pair.on_leaf.batch_execute(sql).await.with_context(|| sql.to_owned())?;
        }
        let rows = f.resume(THREE).await.with_context(doing)?;
        ensure!(rows > 10_000, "{rows} rows {}", doing());
        let again = f.done(&format!("range_nr <= {BEFORE}")).await? - BEFORE;
        let expected = if change.serves { 0 } else { BEFORE };
        ensure!(again == expected, "{again} ranges loaded again {}", doing());
        // From the beginning, for the next change.
        let reset = "select * from londiste.local_set_table_state('q', 'public.t', null, null)";
        admin(&f.pair.on_leaf, reset).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_dropped_in_between_is_copied_whole() -> Result<()> {
    let f = Fixture::interrupted().await?;
    f.pair.on_leaf.batch_execute("drop table t").await?;
    let worker = f.worker(ONE)?;
    wait_for("the copy to complain", PATIENCE, || async {
        Ok(f.pair.errors().await?.contains("public.t does not exist").then_some(()))
    })
    .await?;
    f.pair.on_leaf.batch_execute(TABLE).await?;
    ensure!(f.until_equal().await? == i64::try_from(ROWS)?);
    worker.stop().await
}

/// A rewrite of the target's table between two ranges of one attempt: what is there is not known any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_truncated_between_two_ranges_is_copied_whole() -> Result<()> {
    let f = Fixture::new().await?;
    // The gate is at the next copy's note, so that a range's transaction is not open meanwhile.
    f.shut("londiste.table_info", "old.dropped_ddl <> new.dropped_ddl").await?;
    let worker = f.worker(ONE)?;
    f.until_waiting(1).await?;
    let ranges = f.done("true").await?;
    // The index that waits at the gate is not committed, so its lock is in the way of a truncate until it is.
    let truncate = {
        let client = f.pair.leaf.connect().await?;
        tokio::spawn(async move {
            client.batch_execute("set session_replication_role = replica; truncate t").await
        })
    };
    wait_for("the truncate to wait", PATIENCE, || async {
        let sql = "select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and not granted";
        Ok((count(&f.keeper, sql).await? > 0).then_some(()))
    })
    .await?;
    f.open("londiste.table_info").await?;
    truncate.await??;
    ensure!(f.until_equal().await? == i64::try_from(ROWS)?);
    let all = f.done("true").await?;
    ensure!(all == 2 * ranges, "{all} loads of {ranges} ranges");
    worker.stop().await
}
