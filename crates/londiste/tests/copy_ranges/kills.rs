//! Killed at every stage while applications write.

use anyhow::{Result, ensure};

use crate::fixture::{BEFORE, Fixture, ONE, ROWS, THREE, Writers, count, write_some};

const RANGES: &str = "londiste.copy_range";
const STATES: &str = "londiste.table_info";

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_load_one_table_under_writers() -> Result<()> {
    let f = Fixture::new().await?;
    let writers = Writers::start(&f.pair).await?;
    let worker = f.worker(THREE)?;
    f.until_loaded().await?;
    ensure!(writers.finish().await? > 0);
    f.until_equal().await?;
    ensure!(f.done("true").await? > 5);
    worker.stop().await
}

/// Kills the copy where the gate stops it, writes, and lets it go on. Returns the number of ranges loaded before.
async fn killed_at(table: &str, condition: &str, config: &str) -> Result<(Fixture, i64)> {
    let f = Fixture::new().await?;
    f.shut(table, condition).await?;
    let worker = f.worker(config)?;
    f.until_waiting(1).await?;
    let before = f.done("true").await?;
    let total = count(&f.keeper, "select count(*) from londiste.copy_range").await?;
    let writers = Writers::start(&f.pair).await?;
    for seed in 10_000..10_060 {
        // Conflicts with the other writers are part of the game.
        if write_some(&f.pair.on_root, seed).await.is_err() {
            f.pair.on_root.batch_execute("rollback").await?;
        }
    }
    // Moves of rows that leave no event, into gaps that a vacuum has made.
    f.pair.on_root.batch_execute("vacuum t").await?;
    f.pair
        .on_root
        .batch_execute("set session_replication_role = replica; update t set n = n where id % 50 = 0; reset session_replication_role")
        .await?;
    worker.kill().await;
    f.open(table).await?;
    let worker = f.worker(config)?;
    f.until_loaded().await?;
    ensure!(writers.finish().await? > 0);
    f.until_equal().await?;
    f.assert_once().await?;
    let after = f.done("true").await?;
    // Where nothing was loaded, the copy divides the table again as it is now.
    ensure!(before == 0 || after == total, "{after} of {total} ranges loaded, {before} before the kill");
    worker.stop().await?;
    Ok((f, before))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_loads_only_the_rest() -> Result<()> {
    let (f, before) = killed_at(RANGES, "new.snapshot is not null and new.range_nr = 5", ONE).await?;
    ensure!(before == BEFORE, "{before}");
    let first = f.done("attempt = 1").await?;
    ensure!(first == BEFORE, "{first} ranges of the first attempt");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_first_range_it_begins_anew() -> Result<()> {
    let (_, before) = killed_at(RANGES, "new.snapshot is not null and new.range_nr = 1", ONE).await?;
    ensure!(before == 0, "{before}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_indexes_are_built_it_loads_nothing_again() -> Result<()> {
    killed_at(STATES, "old.dropped_ddl <> new.dropped_ddl", ONE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_the_last_step_it_loads_nothing_again() -> Result<()> {
    killed_at(STATES, "new.merge_state = 'catching-up'", THREE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_anything_is_stored_it_begins() -> Result<()> {
    killed_at(STATES, "old.dropped_ddl is null and new.dropped_ddl is not null", ONE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_arrives() -> Result<()> {
    let f = Fixture::new().await?;
    let writers = Writers::start(&f.pair).await?;
    // Every second range stops the copy; later the building of indexes, the change of state, and the end of it do.
    for (nr, state) in [2, 4, 6, 8].iter().map(|nr| (*nr, "")).chain([
        (0, "old.dropped_ddl <> new.dropped_ddl"),
        (0, "new.merge_state = 'catching-up' and old.merge_state = 'in-copy'"),
        (0, "new.dropped_ddl is null and old.dropped_ddl is not null"),
    ]) {
        let (table, condition) = if nr > 0 {
            (RANGES, format!("new.snapshot is not null and new.range_nr = {nr}"))
        } else {
            (STATES, state.to_owned())
        };
        f.shut(table, &condition).await?;
        let worker = f.worker(ONE)?;
        f.until_waiting(1).await?;
        worker.kill().await;
        f.open(table).await?;
    }
    let worker = f.worker(THREE)?;
    f.until_loaded().await?;
    ensure!(writers.finish().await? > 0);
    f.until_equal().await?;
    let attempts = count(&f.keeper, "select count(distinct attempt) from done").await?;
    ensure!(attempts >= 4, "{attempts} attempts loaded something");
    f.assert_once().await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_types_and_large_values_survive_a_kill() -> Result<()> {
    let f = Fixture::empty().await?;
    f.pair.both(
        "create schema \"S \"\"q'\"; create type \"S \"\"q'\".mood as enum ('good', 'b''ad'); create domain \"S \"\"q'\".d as numeric(9, 3); \
         create domain \"S \"\"q'\".m as \"S \"\"q'\".mood; \
         create table \"S \"\"q'\".\"T %'\" (\"k 1\" numeric, \"K\"\"2\" text, \"from\" \"S \"\"q'\".mood, dom \"S \"\"q'\".d, \
           arr text[], js jsonb, by bytea, ts timestamptz, mo money, iv interval, big text, r int4range, \
           nr int generated always as identity, k3 \"S \"\"q'\".m default 'good', primary key (\"K\"\"2\", k3, \"k 1\"))",
    )
    .await?;
    let name = "\"S \"\"q'\".\"T %'\"";
    f.pair.on_root
        .batch_execute(&format!(
            "insert into {name} select g / 10.0, 'k''' || g % 7, case when g % 2 = 0 then 'good' else 'b''ad' end::\"S \"\"q'\".mood, g / 3.0, array['a', null, E'q\\\\'], \
               '{{\"a\": 1}}', decode('00ff5c', 'hex'), now(), 12.5, '1 mon -3 days', null, int4range(g, g + 5) from generate_series(1, 5000) g; \
             alter table {name} alter column big set storage external; \
             insert into {name} (\"k 1\", \"K\"\"2\", big) values (-1, 'big', repeat('0123456789', 2000000))"
        ))
        .await?;
    let table = "S \"q'.T %'";
    let quoted = table.replace('\'', "''");
    f.pair.add(&quoted, "").await?;
    f.shut(RANGES, "new.snapshot is not null and new.range_nr = 2").await?;
    let worker = f.worker(ONE)?;
    f.until_waiting(1).await?;
    f.pair.on_root
        .batch_execute(&format!(
            "update {name} set big = big || 'x', dom = 1 where \"k 1\" = -1; delete from {name} where \"k 1\" between 100 and 120; \
             update {name} set dom = 7 where \"k 1\" < 50"
        ))
        .await?;
    worker.kill().await;
    f.open(RANGES).await?;
    let worker = f.worker(ONE)?;
    f.pair.until_state(table, &["ok"]).await?;
    f.pair.until_caught_up().await?;
    ensure!(f.pair.assert_same(name).await? == 5001 - 201);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kill_every_row_is_loaded_once() -> Result<()> {
    let f = Fixture::new().await?;
    ensure!(f.resume(THREE).await? == i64::try_from(ROWS)?);
    f.assert_once().await?;
    ensure!(f.done("attempt > 1").await? == 0);
    Ok(())
}
