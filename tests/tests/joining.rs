//! A table joins the set while it is written to: transactions open across the copy's snapshot, every isolation
//! level, savepoints, rolled-back and prepared transactions, and rotations as fast as they go.

use anyhow::Result;
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA, TABLES};
use e2e::pair::{LIMIT, Pair};
use testkit::wait_for;
use tokio_postgres::Client;

const FAST_ROTATION: &str = "update pgq.queue set queue_rotation_period = '0.5 seconds', queue_ticker_max_lag = '0.2 seconds', queue_ticker_idle_period = '1 second'";

/// Waits until the queue has rotated at least `times` times more.
async fn rotations(db: &Client, times: usize) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..=times {
        let known = seen.clone();
        let step: i64 = wait_for("a rotation", LIMIT, || {
            let known = known.clone();
            async move {
                let step = db
                    .query_one("select max(queue_switch_step1) from pgq.queue", &[])
                    .await?
                    .get::<_, i64>(0);
                Ok((!known.contains(&step)).then_some(step))
            }
        })
        .await?;
        seen.insert(step);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_added_under_load_ends_identical() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    pair.source.psql("db", SCHEMA)?;
    pair.start().await?;
    pair.source.psql("db", FAST_ROTATION)?;
    pair.londiste("root", &["add-table", "--all", "--insert-only"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    let load = Load::start(&pair.connstr(&pair.source), 3);

    // Open across the snapshot of every copy: written before it, committed after it.
    let open = pair.source_db().await?;
    open.batch_execute(
        "begin; insert into public.acc (id, grp, balance) values (1000001, 1, 1); update public.acc set balance = -7 where id = 3;
         savepoint a; delete from public.acc where id = 4; savepoint b; insert into public.log (what, n) values ('open', 1)",
    )
    .await?;
    let prepared = pair.source_db().await?;
    prepared
        .batch_execute(
            "begin; insert into public.acc (id, grp, balance) values (1000002, 1, 1); insert into public.log (what, n) values ('prepared', 2);
             prepare transaction 'across'",
        )
        .await?;
    let old_snapshot = pair.source_db().await?;
    old_snapshot
        .batch_execute("begin isolation level repeatable read; select count(*) from public.acc")
        .await?;

    pair.londiste("leaf", &["add-table", "--all", "--create", "--insert-only"]).await?;
    // The copies begin; meanwhile the open transactions go on.
    let target = pair.target_db().await?;
    wait_for("a copy has begun", LIMIT, || async {
        let n: i64 = target
            .query_one(
                "select count(*) from londiste.table_info where local and merge_state is not null",
                &[],
            )
            .await?
            .get(0);
        Ok((n > 0).then_some(()))
    })
    .await?;
    open.batch_execute(
        "rollback to a; update public.acc set name = 'after the snapshot' where id = 5; commit",
    )
    .await?;
    prepared.batch_execute("commit prepared 'across'").await?;

    let source = pair.source_db().await?;
    rotations(&source, 3).await?;
    // Its snapshot is older than the rotations. It may be refused (serialization failure), but if it commits its
    // event must arrive.
    let late = async {
        old_snapshot
            .batch_execute("insert into public.log (what, n) values ('old snapshot', 3); commit")
            .await
    }
    .await;
    if let Err(error) = late {
        assert_eq!(error.code().map(|c| c.code()), Some("40001"), "{error:?}");
        old_snapshot.batch_execute("rollback").await?;
    }
    pair.wait_in_sync().await?;
    load.stop(&source).await?;
    pair.wait_replayed().await?;
    assert_identical(&source, &pair.target_db().await?, &TABLES).await
}

/// An event of a transaction whose snapshot is older than a rotation is never lost: it is refused or delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_snapshots_and_rotation() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    pair.source.psql("db", "create table public.t (id int primary key, level text)")?;
    pair.start().await?;
    pair.source.psql("db", FAST_ROTATION)?;
    pair.londiste("root", &["add-table", "t"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    pair.londiste("leaf", &["add-table", "t", "--create", "--wait-sync"]).await?;
    let source = pair.source_db().await?;
    let mut refused = 0;
    for (id, level) in
        ["read uncommitted", "read committed", "repeatable read", "serializable"].iter().enumerate()
    {
        for (n, times) in [0usize, 1, 3].into_iter().enumerate() {
            let db = pair.source_db().await?;
            db.batch_execute(&format!("begin isolation level {level}; select count(*) from public.t"))
                .await?;
            rotations(&source, times).await?;
            let insert = format!("insert into public.t values ({}, '{level}'); commit", id * 10 + n);
            if let Err(error) = db.batch_execute(&insert).await {
                assert_eq!(
                    error.code().map(|c| c.code()),
                    Some("40001"),
                    "{level}, {times} rotations: {error:?}"
                );
                assert!(id >= 2, "{level} must never be refused");
                refused += 1;
            }
        }
    }
    assert!(refused < 6, "every write under an old snapshot was refused");
    pair.wait_replayed().await?;
    assert_identical(&source, &pair.target_db().await?, &["public.t"]).await
}
