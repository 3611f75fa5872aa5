//! Scripts of EXECUTE on a leaf, and functions that run during replay: where they find names, what they leave behind in the session, and
//! tables that are on their way.

mod support;

use anyhow::{Result, ensure};
use support::{Pair, admin};
use testkit::{PATIENCE, wait_for};

/// Runs a script on the root and puts it into the stream, as `londiste execute` does.
async fn execute(pair: &Pair, file: &str, sql: &str) -> Result<()> {
    let client = pair.root.connect().await?;
    client.batch_execute("begin").await?;
    client.batch_execute("select londiste.set_session_replication_role('local', true)").await?;
    admin(
        &client,
        &format!("select * from londiste.execute_start('q', '{file}', $script${sql}$script$, true)"),
    )
    .await?;
    client.batch_execute(sql).await?;
    admin(&client, &format!("select * from londiste.execute_finish('q', '{file}')")).await?;
    client.batch_execute("commit").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_sets_for_its_session_does_not_last() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table t (id int primary key, v text, d date)").await?;
    // Would change what is replicated, if it fired.
    pair.on_leaf
        .batch_execute(
            "create function spoil() returns trigger language plpgsql as $$ begin new.v := 'spoilt'; return new; end $$; \
             create trigger spoil before insert or update on t for each row execute function spoil()",
        )
        .await?;
    pair.add("public.t", "'expect_sync'").await?;
    let scripts = [
        "set client_encoding = 'LATIN1'; set DateStyle = 'SQL, DMY'; set timezone = 'Asia/Tokyo'; select pg_catalog.set_config('search_path', '', false)",
        "set session_replication_role = replica; create table other (i int); set session_replication_role = default",
        "reset all; deallocate all",
        "set standard_conforming_strings = off; set array_nulls = off; set row_security = on; set bytea_output = escape",
    ];
    let insert = |id: i32| format!("insert into t values ({id}, 'é\\ {id}', '2024-02-01')");
    // All in one batch, what comes before and after a script, too.
    pair.on_root.batch_execute(&insert(0)).await?;
    for (nr, script) in (1..).zip(scripts) {
        execute(&pair, &format!("one{nr}.sql"), script).await?;
        pair.on_root.batch_execute(&insert(nr)).await?;
    }
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 5);
    // Each in a batch of its own: the next one is another.
    for (nr, script) in (11..).zip([
        "set client_encoding = 'LATIN1'",
        "set session_replication_role = default",
        "deallocate all",
    ]) {
        execute(&pair, &format!("more{nr}.sql"), script).await?;
        pair.until_caught_up().await?;
        pair.on_root.batch_execute(&insert(nr)).await?;
        pair.until_caught_up().await?;
    }
    ensure!(pair.assert_same("t").await? == 8);
    ensure!(pair.errors().await?.is_empty(), "{}", pair.errors().await?);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_script_changes_while_it_is_copied_is_copied_again() -> Result<()> {
    let pair = Pair::new().await?;
    let rows = "insert into {} select g, g from generate_series(1, 20) g";
    for table in ["doubled", "emptied", "altered", "ready"] {
        pair.both(&format!("create table {table} (id int primary key, n int)")).await?;
        pair.on_root.batch_execute(&rows.replace("{}", table)).await?;
        pair.add(&format!("public.{table}"), "").await?;
    }
    pair.both("create table parts (id int primary key, n int) partition by range (id); create table parts1 partition of parts for values from (0) to (100)").await?;
    pair.on_root.batch_execute(&rows.replace("{}", "parts")).await?;
    pair.add("public.parts", "").await?;
    let tables = ["doubled", "emptied", "altered", "ready", "parts"];
    let worker = pair.worker("parallel_copies = 4")?;
    for table in tables {
        pair.until_state(&format!("public.{table}"), &["ok"]).await?;
    }
    pair.until_caught_up().await?;
    worker.stop().await?;
    // The worker is behind: the scripts have run on the root, and what they did is in the rows that are copied.
    let scripts = [
        "update doubled set n = n * 2; update ready set n = n * 3; update parts set n = n * 5",
        "truncate emptied; insert into emptied values (100, 100)",
        "alter table altered add m int default 7",
    ];
    for (nr, script) in (1..).zip(scripts) {
        execute(&pair, &format!("{nr}.sql"), script).await?;
    }
    pair.on_root.batch_execute("insert into emptied values (101, 101)").await?;
    for table in ["doubled", "emptied", "altered", "parts"] {
        admin(
            &pair.on_leaf,
            &format!("select * from londiste.local_set_table_state('q', 'public.{table}', null, null)"),
        )
        .await?;
    }
    let worker = pair.worker("parallel_copies = 4")?;
    pair.until_caught_up().await?;
    for table in tables {
        pair.until_state(&format!("public.{table}"), &["ok"]).await?;
    }
    pair.until_caught_up().await?;
    for table in tables {
        pair.assert_same(table).await?;
    }
    ensure!(pair.errors().await?.is_empty(), "{}", pair.errors().await?);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_added_to_a_type_are_used_in_the_same_batch() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create type kind as enum ('a', 'b'); create table t (id int primary key, k kind)").await?;
    pair.add("public.t", "'expect_sync'").await?;
    // One tick for all of it.
    let ticks = |paused: bool| format!("select pgq.set_queue_config('q', 'ticker_paused', '{paused}')");
    pair.on_root.batch_execute(&ticks(true)).await?;
    pair.on_root.batch_execute("insert into t values (1, 'a')").await?;
    execute(&pair, "add.sql", "-- one more\nalter type kind add value 'c'").await?;
    pair.on_root.batch_execute("insert into t values (2, 'c')").await?;
    pair.on_root.batch_execute(&ticks(false)).await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 2);
    worker.stop().await?;
    // Where the script does more than that, a tick between the two is enough, also for a worker that is behind.
    execute(&pair, "more.sql", "alter type kind add value 'd'; alter table t add n int").await?;
    let sql = "select pgq.force_tick('q'), pgq.ticker('q')";
    pair.on_root.batch_execute(sql).await?;
    pair.on_root.batch_execute("insert into t values (3, 'd', 3)").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 3);
    worker.stop().await
}

/// Waits until a session of the leaf waits for that advisory lock.
async fn until_at_gate(pair: &Pair, gate: i64) -> Result<()> {
    let waits = format!(
        "select count(*) from pg_locks where locktype = 'advisory' and objid = {gate} and not granted"
    );
    wait_for("somebody to come to the gate", PATIENCE, || async {
        Ok((pair.on_leaf.query_one(&waits, &[]).await?.get::<_, i64>(0) > 0).then_some(()))
    })
    .await
}

/// Rows with these ids are not inserted on the leaf before their gates are opened.
fn gate(table: &str) -> String {
    format!(
        "create function gate() returns trigger language plpgsql as $$ begin
             if new.id >= 900 then perform pg_catalog.pg_advisory_xact_lock_shared(new.id); end if; return new; end $$;
         create trigger gate before insert on {table} for each row execute function gate();
         alter table {table} enable always trigger gate"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_whose_rows_are_not_here_yet_has_changed_them_all_the_same() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table t (id int primary key, v text)").await?;
    pair.on_root.batch_execute("insert into t values (900, 'orig')").await?;
    pair.on_leaf.batch_execute(&gate("t")).await?;
    let gates = pair.leaf.connect().await?;
    gates.batch_execute("select pg_advisory_lock(900), pg_advisory_lock(901)").await?;
    let worker = pair.worker("")?;
    pair.add("public.t", "").await?;
    until_at_gate(&pair, 900).await?;
    // After the snapshot of the copy, which is at row 900.
    pair.on_root.batch_execute("insert into t values (901, 'orig')").await?;
    pair.on_root.batch_execute("select pgq.force_tick('q'); select pgq.ticker('q')").await?;
    gates.batch_execute("select pg_advisory_unlock(900)").await?;
    until_at_gate(&pair, 901).await?;
    // The copy has not applied row 901, and the worker runs the script.
    execute(&pair, "1.sql", "update t set v = 'script' where id = 901").await?;
    pair.until_caught_up().await?;
    gates.batch_execute("select pg_advisory_unlock(901)").await?;
    pair.until_state("public.t", &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 2);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_whose_rows_have_come_with_a_copy_already_is_run_without_them() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table t (id int primary key, v text); create table other (id int primary key)").await?;
    pair.on_root.batch_execute("insert into t values (1, 'orig')").await?;
    pair.on_leaf.batch_execute(&gate("other")).await?;
    pair.add("public.other", "'expect_sync'").await?;
    let gates = pair.leaf.connect().await?;
    gates.batch_execute("select pg_advisory_lock(900)").await?;
    pair.on_root.batch_execute("insert into other values (900)").await?;
    pair.on_root.batch_execute("select pgq.force_tick('q'); select pgq.ticker('q')").await?;
    execute(&pair, "1.sql", "insert into t values (2, 'script')").await?;
    pair.add("public.t", "").await?;
    // It begins the copy, and is held up before the script.
    let worker = pair.worker("")?;
    until_at_gate(&pair, 900).await?;
    wait_for("both rows to be copied", PATIENCE, || async {
        let rows: i64 = pair.on_leaf.query_one("select count(*) from t", &[]).await?.get(0);
        Ok((rows == 2).then_some(()))
    })
    .await?;
    gates.batch_execute("select pg_advisory_unlock(900)").await?;
    pair.until_caught_up().await?;
    pair.until_state("public.t", &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 2);
    ensure!(pair.errors().await?.is_empty(), "{}", pair.errors().await?);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_run_during_replay_find_names_in_the_path_that_is_configured() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table t (id int primary key)").await?;
    pair.on_leaf
        .batch_execute(
            "create table noted (id int);
             create function note() returns trigger language plpgsql as 'begin insert into noted values (new.id); return new; end';
             create trigger note after insert on t for each row execute function note();
             alter table t enable always trigger note",
        )
        .await?;
    pair.add("public.t", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.on_root.batch_execute("insert into t values (1)").await?;
    let stopped = wait_for("the worker to complain", PATIENCE, || async {
        let said = pair.errors().await?;
        Ok(said.contains("noted").then_some(said))
    })
    .await?;
    ensure!(stopped.contains("relation \"noted\" does not exist"), "{stopped}");
    worker.stop().await?;
    let worker = pair.worker("apply_search_path = public")?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("t").await? == 1);
    let noted: i64 = pair.on_leaf.query_one("select count(*) from noted", &[]).await?.get(0);
    ensure!(noted == 1);
    ensure!(pair.errors().await?.is_empty(), "{}", pair.errors().await?);
    worker.stop().await
}
