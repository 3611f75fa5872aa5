//! Copies by ranges: killed at every stage, under writers, and resumed without loading again what was loaded.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use support::{PATIENCE, Pair, admin};
use testkit::wait_for;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// Everything goes by ranges of 32 blocks, one connection.
const ONE: &str = "threaded_copy_tables = *\nthreaded_copy_pool_size = 1\ncopy_range_size = 256k";
const THREE: &str =
    "threaded_copy_tables = *\nthreaded_copy_pool_size = 3\ncopy_range_size = 256k\ncopy_index_memory = 8MB";

const TABLE: &str = "create table t (id bigint primary key, u int unique, v text not null, n numeric, \
        w int generated always as (length(v)) stored, check (id <> 0)); \
     create index t_v on t (v); create index \"t odd\"\";\n\" on t (n) where n > 0; create unique index t_part on t (u, n) where v is not null";
const ROWS: usize = 20_000;

/// What a table has besides rows.
const OBJECTS: &str = "select coalesce(string_agg(x, E'\\n' order by x), '') from ( \
     select pg_get_indexdef(indexrelid) || indisvalid::text || indisprimary::text as x from pg_index where indrelid = 't'::regclass \
     union all select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass) o";

/// Lets a session of the leaf stop where the test wants: a trigger waits for a lock that the test holds.
struct Gate {
    keeper: Client,
}

impl Gate {
    async fn new(pair: &Pair) -> Result<Gate> {
        pair.on_leaf
            .batch_execute(
                "create table done (range_nr int, attempt int); \
                 create function note() returns trigger language plpgsql as \
                   $$ begin insert into public.done values (new.range_nr, new.attempt); return new; end $$; \
                 create trigger note after update on londiste.copy_range for each row \
                   when (old.snapshot is null and new.snapshot is not null) execute function note(); \
                 alter table londiste.copy_range enable always trigger note; \
                 create function gate() returns trigger language plpgsql as \
                   $$ begin perform pg_catalog.pg_advisory_xact_lock_shared(777); return new; end $$",
            )
            .await?;
        Ok(Gate { keeper: pair.leaf.connect().await? })
    }

    /// From now on, whoever updates `table` so that the condition holds has to wait.
    async fn shut(&self, table: &str, condition: &str) -> Result<()> {
        self.keeper
            .batch_execute(&format!(
                "select pg_advisory_lock(777); create trigger a_gate before update on {table} for each row \
                 when ({condition}) execute function gate(); alter table {table} enable always trigger a_gate"
            ))
            .await?;
        Ok(())
    }

    async fn until_somebody_waits(&self) -> Result<()> {
        wait_for("somebody to wait at the gate", PATIENCE, || async {
            let sql =
                "select count(*) from pg_locks where locktype = 'advisory' and objid = 777 and not granted and database = (select oid from pg_database where datname = current_database())";
            Ok((self.keeper.query_one(sql, &[]).await?.get::<_, i64>(0) > 0).then_some(()))
        })
        .await
    }

    async fn open(&self, table: &str) -> Result<()> {
        self.keeper.batch_execute("select pg_advisory_unlock_all()").await?;
        self.keeper.batch_execute(&format!("drop trigger a_gate on {table}")).await?;
        Ok(())
    }
}

async fn fill(pair: &Pair) -> Result<()> {
    pair.both(TABLE).await?;
    pair.on_root
        .batch_execute(&format!(
            "insert into t select g, g, repeat('v', 60) || g, g / 7.0 from generate_series(1, {ROWS}) g"
        ))
        .await?;
    Ok(())
}

/// Rows appear, change, vanish, come back, change their key, and hand unique values to one another.
async fn write_some(client: &Client, seed: i64) -> Result<()> {
    let rows = i64::try_from(ROWS)?;
    let id = |n: i64| 1 + (seed * 7919 + n * 104_729).rem_euclid(rows);
    let fresh = 1_000_000 + seed * 10;
    client
        .batch_execute(&format!(
            "update t set v = v || '.' where id = {a}; \
             delete from t where id = {b}; \
             insert into t values ({fresh}, {fresh}, 'new', 1.5); \
             begin; with gone as (delete from t where id = {c} returning *) \
               insert into t (id, u, v, n) select id + 5000000, u, v || 'moved', n from gone; commit; \
             begin; with gone as (delete from t where id = {d} returning *) select count(*) from gone; \
               insert into t values ({d}, null, 'back', null) on conflict do nothing; commit; \
             begin; update t set u = -u where id in ({e}, {f}); update t set v = 'swapped ' || v where id = {e}; commit; \
             update t set n = n where id between {a} and {a} + 20; \
             begin; savepoint s; delete from t where id = {f}; rollback to s; update t set n = 1.50 where id = {f}; commit",
            a = id(1), b = id(2), c = id(3), d = id(4), e = id(5), f = id(6),
        ))
        .await?;
    Ok(())
}

/// Writers of every isolation level, until told to stop. A statement that the isolation level refuses is tried later.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<u64>>>,
}

impl Writers {
    async fn start(pair: &Pair) -> Result<Writers> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (nr, level) in ["read committed", "repeatable read", "serializable"].into_iter().enumerate() {
            let client = pair.root.connect().await?;
            client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await?;
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let (mut seed, mut done) = (i64::try_from(nr)?, 0);
                while !stop.load(Ordering::Relaxed) {
                    seed += 3;
                    match write_some(&client, seed).await {
                        Ok(()) => done += 1,
                        Err(_) => client.batch_execute("rollback").await?,
                    }
                    // As fast as the copy can follow on a busy machine, which is what the test is not about.
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                Ok(done)
            }));
        }
        Ok(Writers { stop, tasks })
    }

    async fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        for task in self.tasks {
            done += task.await??;
        }
        Ok(done)
    }
}

async fn assert_objects(pair: &Pair) -> Result<()> {
    let (a, b): (String, String) = (
        pair.on_root.query_one(OBJECTS, &[]).await?.get(0),
        pair.on_leaf.query_one(OBJECTS, &[]).await?.get(0),
    );
    ensure!(a == b, "objects differ:\n{a}\n--- leaf\n{b}");
    let left: i64 = pair.on_leaf.query_one("select (select count(*) from londiste.copy_range) + (select count(*) from londiste.table_info where dropped_ddl is not null)", &[]).await?.get(0);
    ensure!(left == 0, "{left} rows of an unfinished copy are left");
    Ok(())
}

async fn until_equal(pair: &Pair) -> Result<i64> {
    pair.until_state("public.t", &["ok"]).await?;
    pair.until_caught_up().await?;
    assert_objects(pair).await?;
    pair.assert_same("t").await
}

async fn count(client: &Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_load_one_table_under_writers() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    let writers = Writers::start(&pair).await?;
    let worker = pair.worker(THREE)?;
    pair.until_state("public.t", &["catching-up", "wanna-sync", "do-sync", "ok"]).await?;
    ensure!(writers.finish().await? > 0);
    until_equal(&pair).await?;
    ensure!(count(&gate.keeper, "select count(*) from done").await? > 5);
    worker.stop().await
}

/// Kills the copy where the gate stops it, writes, and lets it go on.
async fn killed_at(table: &str, condition: &str, config: &str) -> Result<(Pair, Gate, i64)> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    gate.shut(table, condition).await?;
    let worker = pair.worker(config)?;
    gate.until_somebody_waits().await?;
    let before = count(&gate.keeper, "select count(*) from done").await?;
    let total = count(&gate.keeper, "select count(*) from londiste.copy_range").await?;
    let writers = Writers::start(&pair).await?;
    for seed in 10_000..10_060 {
        // Conflicts with the other writers are part of the game.
        if write_some(&pair.on_root, seed).await.is_err() {
            pair.on_root.batch_execute("rollback").await?;
        }
    }
    // Moves of rows that leave no event, into gaps that a vacuum has made.
    pair.on_root.batch_execute("vacuum t").await?;
    pair.on_root
        .batch_execute("set session_replication_role = replica; update t set n = n where id % 50 = 0; reset session_replication_role")
        .await?;
    worker.kill().await;
    gate.open(table).await?;
    let worker = pair.worker(config)?;
    pair.until_state("public.t", &["catching-up", "wanna-sync", "do-sync", "ok"]).await?;
    ensure!(writers.finish().await? > 0);
    until_equal(&pair).await?;
    let (again, after) = (
        count(
            &gate.keeper,
            "select count(*) from (select range_nr from done group by 1 having count(*) > 1) d",
        )
        .await?,
        count(&gate.keeper, "select count(*) from done").await?,
    );
    ensure!(again == 0, "{again} ranges were loaded twice");
    // Where nothing was loaded, the copy divides the table again as it is now.
    ensure!(before == 0 || after == total, "{after} of {total} ranges loaded, {before} before the kill");
    worker.stop().await?;
    Ok((pair, gate, before))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_loads_only_the_rest() -> Result<()> {
    let (_pair, gate, before) =
        killed_at("londiste.copy_range", "new.snapshot is not null and new.range_nr = 5", ONE).await?;
    ensure!(before == 4, "{before}");
    let first = count(&gate.keeper, "select count(*) from done where attempt = 1").await?;
    ensure!(first == 4, "{first} ranges of the first attempt");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_first_range_it_begins_anew() -> Result<()> {
    let (_pair, _gate, before) =
        killed_at("londiste.copy_range", "new.snapshot is not null and new.range_nr = 1", ONE).await?;
    ensure!(before == 0, "{before}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_indexes_are_built_it_loads_nothing_again() -> Result<()> {
    killed_at("londiste.table_info", "old.dropped_ddl <> new.dropped_ddl", ONE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_the_last_step_it_loads_nothing_again() -> Result<()> {
    killed_at("londiste.table_info", "new.merge_state = 'catching-up'", THREE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_anything_is_stored_it_begins() -> Result<()> {
    killed_at("londiste.table_info", "old.dropped_ddl is null and new.dropped_ddl is not null", ONE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_arrives() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    let writers = Writers::start(&pair).await?;
    // Every second range stops the copy; later the building of indexes, the change of state, and the end of it do.
    for (nr, state) in [2, 4, 6, 8].iter().map(|nr| (*nr, "")).chain([
        (0, "old.dropped_ddl <> new.dropped_ddl"),
        (0, "new.merge_state = 'catching-up' and old.merge_state = 'in-copy'"),
        (0, "new.dropped_ddl is null and old.dropped_ddl is not null"),
    ]) {
        let (table, condition) = if nr > 0 {
            ("londiste.copy_range", format!("new.snapshot is not null and new.range_nr = {nr}"))
        } else {
            ("londiste.table_info", state.to_owned())
        };
        gate.shut(table, &condition).await?;
        let worker = pair.worker(ONE)?;
        gate.until_somebody_waits().await?;
        worker.kill().await;
        gate.open(table).await?;
    }
    let worker = pair.worker(THREE)?;
    pair.until_state("public.t", &["catching-up", "wanna-sync", "do-sync", "ok"]).await?;
    ensure!(writers.finish().await? > 0);
    until_equal(&pair).await?;
    let attempts = count(&gate.keeper, "select count(distinct attempt) from done").await?;
    ensure!(attempts >= 4, "{attempts} attempts loaded something");
    let twice = count(&gate.keeper, "select count(*) - count(distinct range_nr) from done").await?;
    ensure!(twice == 0, "{twice} ranges were loaded twice");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_source_table_voids_what_was_loaded() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    gate.shut("londiste.copy_range", "new.snapshot is not null and new.range_nr = 5").await?;
    let worker = pair.worker(ONE)?;
    gate.until_somebody_waits().await?;
    worker.kill().await;
    gate.open("londiste.copy_range").await?;
    wait_for("the copy's session to end", PATIENCE, || async {
        let left = count(&pair.on_root, "select count(*) from pg_stat_activity where application_name like '%.copy.%' and datname = current_database()").await?;
        Ok((left == 0).then_some(()))
    })
    .await?;
    pair.on_root.batch_execute("delete from t where id % 3 = 0").await?;
    pair.on_root.batch_execute("vacuum full t").await?;
    let worker = pair.worker(ONE)?;
    until_equal(&pair).await?;
    ensure!(count(&gate.keeper, "select count(*) from done where range_nr < 5").await? == 8);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_dropped_in_between_is_copied_whole() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    gate.shut("londiste.copy_range", "new.snapshot is not null and new.range_nr = 5").await?;
    let worker = pair.worker(ONE)?;
    gate.until_somebody_waits().await?;
    worker.kill().await;
    gate.open("londiste.copy_range").await?;
    pair.on_leaf.batch_execute("drop table t").await?;
    let worker = pair.worker(ONE)?;
    wait_for("the copy to complain", PATIENCE, || async {
        Ok(pair.errors().await?.contains("public.t does not exist").then_some(()))
    })
    .await?;
    pair.on_leaf.batch_execute(TABLE).await?;
    pair.until_state("public.t", &["ok"]).await?;
    pair.until_caught_up().await?;
    assert_objects(&pair).await?;
    ensure!(pair.assert_same("t").await? == i64::try_from(ROWS)?);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_table_gives_back_what_was_dropped() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    gate.shut("londiste.copy_range", "new.snapshot is not null and new.range_nr = 5").await?;
    let worker = pair.worker(THREE)?;
    gate.until_somebody_waits().await?;
    let remover = pair.leaf.connect().await?;
    let removal = tokio::spawn(async move {
        admin(&remover, "select * from londiste.local_remove_table('q', 'public.t')").await
    });
    gate.open("londiste.copy_range").await?;
    removal.await??;
    assert_objects(&pair).await?;
    ensure!(count(&pair.on_leaf, "select count(*) from t").await? == 0);
    pair.until_no_copy_consumers().await?;
    pair.add_on_leaf("public.t", "").await?;
    until_equal(&pair).await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_do_not_suit_stay_in_one_transaction() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    pair.both("create table nokey (a int, b text); create table part (id int primary key, v text)").await?;
    pair.on_root
        .batch_execute("insert into nokey select g, repeat('x', 100) from generate_series(1, 20000) g; insert into part select g, repeat('x', 100) from generate_series(1, 20000) g")
        .await?;
    let gate = Gate::new(&pair).await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.nokey', array['tgflags=I'])")
        .await?;
    pair.add_on_leaf("public.nokey", "'tgflags=I'").await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.part', array['tgflags=IUDQ'])")
        .await?;
    pair.add_on_leaf("public.part", "").await?;
    let worker = pair.worker(ONE)?;
    for table in ["public.nokey", "public.part"] {
        pair.until_state(table, &["ok"]).await?;
    }
    ensure!(count(&gate.keeper, "select count(*) from done").await? == 0);
    ensure!(pair.assert_same("nokey").await? == 20_000 && pair.assert_same("part").await? == 20_000);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_types_and_large_values_survive_a_kill() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(
        "create schema \"S \"\"q'\"; create type \"S \"\"q'\".mood as enum ('good', 'b''ad'); create domain \"S \"\"q'\".d as numeric(9, 3); \
         create table \"S \"\"q'\".\"T %'\" (\"k 1\" numeric, \"K\"\"2\" text, \"from\" \"S \"\"q'\".mood, dom \"S \"\"q'\".d, \
           arr text[], js jsonb, by bytea, ts timestamptz, mo money, iv interval, big text, r int4range, \
           nr int generated always as identity, primary key (\"K\"\"2\", \"k 1\"))",
    )
    .await?;
    let name = "\"S \"\"q'\".\"T %'\"";
    pair.on_root
        .batch_execute(&format!(
            "insert into {name} select g / 10.0, 'k''' || g % 7, case when g % 2 = 0 then 'good' else 'b''ad' end::\"S \"\"q'\".mood, g / 3.0, array['a', null, E'q\\\\'], \
               '{{\"a\": 1}}', decode('00ff5c', 'hex'), now(), 12.5, '1 mon -3 days', null, int4range(g, g + 5) from generate_series(1, 5000) g; \
             alter table {name} alter column big set storage external; \
             insert into {name} (\"k 1\", \"K\"\"2\", big) values (-1, 'big', repeat('0123456789', 2000000))"
        ))
        .await?;
    let gate = Gate::new(&pair).await?;
    let table = "S \"q'.T %'";
    let quoted = table.replace('\'', "''");
    pair.add(&quoted, "").await?;
    gate.shut("londiste.copy_range", "new.snapshot is not null and new.range_nr = 2").await?;
    let worker = pair.worker(ONE)?;
    gate.until_somebody_waits().await?;
    pair.on_root
        .batch_execute(&format!(
            "update {name} set big = big || 'x', dom = 1 where \"k 1\" = -1; delete from {name} where \"k 1\" between 100 and 120; \
             update {name} set dom = 7 where \"k 1\" < 50"
        ))
        .await?;
    worker.kill().await;
    gate.open("londiste.copy_range").await?;
    let worker = pair.worker(ONE)?;
    pair.until_state(table, &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same(name).await? == 5001 - 201);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn small_tables_are_not_divided() -> Result<()> {
    let pair = Pair::new().await?;
    fill(&pair).await?;
    let gate = Gate::new(&pair).await?;
    pair.add("public.t", "").await?;
    let worker = pair.worker("")?;
    until_equal(&pair).await?;
    ensure!(count(&gate.keeper, "select count(*) from done").await? == 0);
    worker.stop().await?;
    tokio::time::timeout(Duration::from_secs(1), pair.until_no_copy_consumers()).await??;
    Ok(())
}
