//! Copies at once: two tables, each in the format that its types allow, and several ranges of one table under one snapshot.
//! What a server was asked for is read from the server.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use testkit::wait_for;
use tokio_postgres::Client;

use crate::fixture::{Fixture, THREE, count};
use crate::support::PATIENCE;

/// The COPY statements that sessions of the copies ran last, or run now.
async fn copies(client: &Client, condition: &str) -> Result<BTreeSet<String>> {
    let sql = format!(
        "select query from pg_stat_activity where datname = current_database() and application_name like '%.copy.%' \
         and query ~ '^copy ' and {condition}"
    );
    Ok(client.query(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tables_are_copied_at_once_each_in_its_format() -> Result<()> {
    let f = Fixture::empty().await?;
    let pair = &f.pair;
    let tables = ["public.alike", "public.wider", "public.third"];
    for table in tables {
        let wider = if table == "public.wider" { "bigint" } else { "int" };
        pair.on_root
            .batch_execute(&format!("create table {table} (id int primary key, n int); insert into {table} select g, g from generate_series(1, 500) g"))
            .await?;
        pair.on_leaf
            .batch_execute(&format!(
                "create table {table} (id int primary key, n {wider}); \
                 create trigger a_gate before insert on {table} for each row execute function gate(); \
                 alter table {table} enable always trigger a_gate"
            ))
            .await?;
        pair.add(table, "").await?;
    }
    f.keeper.batch_execute("select pg_advisory_lock(777)").await?;
    let worker = f.worker("parallel_copies = 2")?;
    f.until_waiting(2).await?;
    // Each stands in the middle of its COPY.
    let into = copies(&pair.on_leaf, "state = 'active' and wait_event = 'advisory'").await?;
    ensure!(into.len() == 2 && into.iter().all(|sql| sql.contains(" from stdin")), "{into:?}");
    let from = copies(&pair.on_root, "state in ('active', 'idle in transaction')").await?;
    ensure!(from.len() == 2 && from.iter().all(|sql| sql.contains(" to stdout")), "{from:?}");
    let binary = |table: &str, all: &BTreeSet<String>| {
        all.iter().find(|sql| sql.contains(table)).map(|sql| sql.ends_with("with (format binary)"))
    };
    let mut text = 0;
    for table in ["alike", "wider", "third"] {
        let both = (binary(table, &from), binary(table, &into));
        let wanted = table != "wider";
        text += usize::from(both == (Some(false), Some(false)));
        ensure!([(None, None), (Some(wanted), Some(wanted))].contains(&both), "{table}: {from:?} {into:?}");
    }
    f.keeper.batch_execute("select pg_advisory_unlock_all()").await?;
    for table in tables {
        pair.until_state(table, &["ok"]).await?;
        ensure!(pair.assert_same(table).await? == 500);
    }
    worker.stop().await?;
    ensure!(text == 1, "the table with another type was not among the first two: {from:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ranges_are_read_under_one_snapshot() -> Result<()> {
    let f = Fixture::new().await?;
    let (root, leaf) = (&f.pair.on_root, &f.pair.on_leaf);
    let content = "select md5(string_agg(t::text, E'\\n' order by id)) from t";
    let before: String = root.query_one(content, &[]).await?.get(0);

    // The first connection has its snapshot and waits for the table here; the others are not there yet.
    let reader = f.pair.leaf.connect().await?;
    reader.batch_execute("begin; lock table t in access share mode").await?;
    // Every connection stops after its first range, and the copy before it tells that it is complete.
    f.shut("londiste.copy_range", "new.snapshot is not null").await?;
    let end = f.pair.leaf.connect().await?;
    end.batch_execute(
        "select pg_advisory_lock(778); \
         create function at_the_end() returns trigger language plpgsql as \
           $$ begin perform pg_catalog.pg_advisory_xact_lock_shared(778); return new; end $$; \
         create trigger at_the_end before update on londiste.table_info for each row \
           when (new.merge_state ~ '^catching-up') execute function at_the_end(); \
         alter table londiste.table_info enable always trigger at_the_end",
    )
    .await?;
    let worker = f.worker(THREE)?;
    wait_for("the copy to wait for the table", PATIENCE, || async {
        let sql = "select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and not granted";
        Ok((count(leaf, sql).await? > 0).then_some(()))
    })
    .await?;
    root.batch_execute(
        "update t set v = 'later' where id % 3 = 0; delete from t where id % 7 = 1; \
         insert into t (id, u, v) select g, g, 'new' from generate_series(100001, 100500) g",
    )
    .await?;
    reader.batch_execute("commit").await?;
    f.until_waiting(3).await?;
    let from = copies(root, "state = 'idle in transaction'").await?;
    let ranges = from.iter().filter(|sql| sql.contains("ctid >= ") && sql.ends_with("with (format binary)"));
    ensure!(ranges.count() == 3, "{from:?}");
    f.open("londiste.copy_range").await?;
    wait_for("the end of the copy", PATIENCE, || async {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and objid = 778 and not granted and database = (select oid from pg_database where datname = current_database())";
        Ok((count(leaf, sql).await? == 1).then_some(()))
    })
    .await?;
    ensure!(f.done("true").await? > 5);
    let loaded: String = f.keeper.query_one(content, &[]).await?.get(0);
    ensure!(loaded == before, "what was loaded is not what the first connection's snapshot shows");
    end.batch_execute("select pg_advisory_unlock_all()").await?;
    f.until_equal().await?;
    f.assert_once().await?;
    worker.stop().await
}
