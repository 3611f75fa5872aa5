//! Transactions that exchange unique values: what frees one must be logged before what takes it, to the microsecond.
//!
//! `capture_random` and `sql/pgq/tests/capture_order.sql` have what happens inside of one transaction.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{PATIENCE, wait_for};
use tokio_postgres::Client;

/// A unique index whose expression waits for an advisory lock: a writer of it has been through its BEFORE triggers and has yet to take its value.
const TABLE: &str = "
    create function mine(text) returns text immutable language plpgsql as $$ begin
        if current_setting('test.waits', true) = 'yes' then perform pg_advisory_xact_lock_shared(1); end if; return $1;
    end $$;
    create table t (id int not null, mail text, note text);
    create unique index on t (mine(mail)); -- looked at before the key
    alter table t add primary key (id);
    insert into t values (1, 'a'), (2, 'b'), (3, 'c');
    select pgq.create_queue('q');
    select pgq.capture_table('q', 't')";

async fn waits(admin: &Client, pid: i32, what: &str) -> Result<()> {
    wait_for(&format!("backend {pid} to wait for {what}"), PATIENCE, || async {
        let row = admin
            .query_one(
                "select exists (select from pg_locks where pid = $1 and locktype = $2 and not granted)",
                &[&pid, &what],
            )
            .await?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
    .await
}

/// Plays it: `taker` is made up to where it takes the value, `frees` is made then, and committed when the taker waits for it.
async fn race(frees: &str, taker: &str, expected: &[&str]) -> Result<()> {
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin.batch_execute(TABLE).await?;
    let (gate, first, second) = (db.connect().await?, db.connect().await?, db.connect().await?);
    let pid: i32 = second.query_one("select pg_backend_pid()", &[]).await?.get(0);
    gate.batch_execute("select pg_advisory_lock(1)").await?;
    second.batch_execute("set test.waits = 'yes'").await?;
    let sql = taker.to_owned();
    let taking = tokio::spawn(async move { second.batch_execute(&sql).await });
    waits(&admin, pid, "advisory").await?;
    first.batch_execute(&format!("begin; {frees}")).await?;
    gate.batch_execute("select pg_advisory_unlock(1)").await?;
    waits(&admin, pid, "transactionid").await?;
    first.batch_execute("commit").await?;
    tokio::time::timeout(Duration::from_secs(60), taking).await???;
    let events: Vec<String> = admin
        .query("select concat_ws(' ', ev_type, ev_data) from pgq.event_1 order by ev_id", &[])
        .await?
        .iter()
        .map(|r| r.get(0))
        .collect();
    ensure!(events == expected, "{taker}: {events:?}");
    Ok(())
}

#[tokio::test]
async fn an_update_that_takes_what_another_transaction_frees_meanwhile_comes_behind_it() -> Result<()> {
    let update = "update t set mail = 'a' where id = 2";
    race("delete from t where id = 1", update, &["D:id id=1&mail=a&note", "U:id id=2&mail=a&note"]).await?;
    race("update t set mail = 'z' where id = 1", update, &["U:id id=1&mail=z&note", "U:id id=2&mail=a&note"])
        .await
}

#[tokio::test]
async fn a_changed_key_and_an_insert_do_as_well() -> Result<()> {
    race(
        "delete from t where id = 1",
        "update t set id = 1, mail = 'a' where id = 2",
        &["D:id id=1&mail=a&note", "D:id id=2&mail=b&note", "I:id id=1&mail=a&note"],
    )
    .await?;
    race(
        "update t set mail = 'z', note = 'n' where id = 1",
        "insert into t values (9, 'a')",
        &["U:id id=1&mail=z&note=n", "I:id id=9&mail=a&note"],
    )
    .await
}

/// What keeps the order stands in settings with a secret in their names. Everybody may have the server show him plans with their constants, and with the
/// parameters of plans made for one execution.
#[tokio::test]
async fn plans_do_not_show_the_names_of_the_settings() -> Result<()> {
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin
        .batch_execute(
            "create function inside(_sql text) returns int language plpgsql as $$ begin execute _sql; return 1; end $$;
             create table t (id int primary key, u int unique, v text); create table g (like t including all); create table d (id int primary key deferrable, v text);
             select pgq.create_queue('q'); select pgq.capture_table('q', 't'), pgq.capture_table('q', 'g', 'form=generic'), pgq.capture_table('q', 'd')",
        )
        .await?;
    let secret: String = admin.query_one("select secret from pgq.capture_secret", &[]).await?.get(0);
    let psql = testkit::shared_cluster()?.installation().client_program("psql")?;
    let shown = |sql: String| {
        let (connstr, psql) = (db.connstr().to_owned(), psql.clone());
        async move {
            let settings = "set client_min_messages = log; set debug_pretty_print = off; set debug_print_parse = on; set debug_print_rewritten = on; set debug_print_plan = on;";
            let mut psql = testkit::Process::command(&psql)
                .args([
                    "-X",
                    "-q",
                    "-o",
                    "/dev/null",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-d",
                    &connstr,
                    "-c",
                    settings,
                    "-c",
                    &sql,
                ])
                .start()?;
            psql.wait(PATIENCE).await?;
            ensure!(
                psql.status().is_some_and(|s| s.success()),
                "{}",
                psql.stderr().lines().rev().take(5).collect::<String>()
            );
            // lines are broken wherever they are full
            anyhow::Ok(psql.output().split_whitespace().collect::<Vec<_>>().join(" "))
        }
    };
    // constants are printed byte by byte
    let bytes = secret.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(" ");
    let told = |output: &str| output.contains(&secret) || output.contains(&bytes);
    let careless = shown(format!("do $$ declare _n text := 'skytools.x' || reverse('{}'); begin perform set_config(_n, '', true); end $$", secret.chars().rev().collect::<String>())).await?;
    ensure!(told(&careless), "plans are not shown");
    for mode in ["auto", "force_custom_plan"] {
        for level in ["read committed", "repeatable read"] {
            let mut work = format!("set plan_cache_mode = {mode}; begin isolation level {level};");
            for table in ["t", "g"] {
                work.push_str(&format!(
                    "insert into {table} values (1, 1, 'a'), (2, 2, 'b') returning inside('update {table} set u = u + 10'), inside('select from {table} for update'), inside('delete from {table} where id = 2');
                     update {table} set v = 'c'; delete from {table};"
                ));
            }
            let output = shown(format!(
                "{work} insert into d values (1, 'a'); update d set v = 1; delete from d; commit"
            ))
            .await?;
            ensure!(output.contains("constvalue") && !told(&output), "{mode}, {level}");
        }
    }
    Ok(())
}

/// A statement on a partitioned table takes its snapshot before it waits for a partition, and plans capture's code there after that.
#[tokio::test]
async fn a_partition_that_was_altered_while_a_statement_waited_is_seen_as_it_is() -> Result<()> {
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin
        .batch_execute(
            "create table root (id int primary key, note text) partition by range (id); create table leaf partition of root for values from (0) to (1000);
             create function upper_() returns trigger language plpgsql as $$ begin new.note := upper(new.note); return new; end $$;
             insert into root values (1, 'one'), (2, 'two');
             select pgq.create_queue('q'); select pgq.capture_table('q', 'leaf')",
        )
        .await?;
    let writer = db.connect().await?;
    let pid: i32 = writer.query_one("select pg_backend_pid()", &[]).await?.get(0);
    admin
        .batch_execute(
            "begin; create trigger \"~~last\" before update on leaf for each row execute function upper_()",
        )
        .await?;
    let writing = tokio::spawn(async move {
        let first = writer
            .batch_execute(
                "insert into root values (1, 'three') on conflict (id) do update set note = 'changed'",
            )
            .await;
        (first, writer.batch_execute("update root set note = 'later' where id = 2").await)
    });
    let other = db.connect().await?;
    waits(&other, pid, "relation").await?;
    admin.batch_execute("commit").await?;
    let (first, second) = tokio::time::timeout(Duration::from_secs(60), writing).await??;
    for result in [first, second] {
        let refused = format!("{result:?}");
        ensure!(refused.contains("fires behind that of capture"), "{refused}");
    }
    Ok(())
}

/// With a deferrable key, a row of the own transaction may have an insert that is still to be logged; one of a transaction that began later has
/// a younger number, but none.
#[tokio::test]
async fn a_row_of_a_younger_transaction_is_not_ones_own() -> Result<()> {
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin
        .batch_execute(
            "create table d (id int primary key deferrable initially deferred, note text); create table other (id int);
             create function inside(_sql text) returns int language plpgsql as $$ begin execute _sql; return 1; end $$;
             select pgq.create_queue('q'); select pgq.capture_table('q', 'd')",
        )
        .await?;
    let older = db.connect().await?;
    for (change, logged) in
        [("update d set note = 'y'", "U:id id=5&note=y"), ("delete from d", "D:id id=5&note=x")]
    {
        older.batch_execute("begin; insert into other values (1)").await?;
        admin.batch_execute("insert into d values (5, 'x')").await?;
        older.batch_execute(&format!("select inside($s${change}$s$); commit")).await?;
        let rows =
            admin.query("select ev_type || ' ' || ev_data from pgq.event_1 order by ev_id", &[]).await?;
        let events: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
        ensure!(events == ["I:id id=5&note=x", logged], "{change}: {events:?}");
        admin.batch_execute("delete from d; truncate pgq.event_1_0").await?;
    }
    Ok(())
}

/// What a client's own statement changes is logged, also where the server is told to add its parameters to the context of errors: what stands inside of
/// another statement is told by that.
#[tokio::test]
async fn a_statement_with_parameters_is_the_clients_own() -> Result<()> {
    let db = testkit::database().await?;
    let mut client = db.connect().await?;
    client
        .batch_execute(
            "create table t (id int primary key deferrable, v text); select pgq.create_queue('q'); select pgq.capture_table('q', 't');
             create function inside(text) returns int language plpgsql as $$ begin execute $1; return 1; end $$;
             create function context(text) returns text language plpgsql as $$ declare _c text; begin get diagnostics _c = pg_context; return _c; end $$;
             set log_parameter_max_length_on_error = -1",
        )
        .await?;
    let tx = client.transaction().await?;
    let context: String = tx.query_one("select context($1)", &[&"x"]).await?.get(0);
    ensure!(context.contains("unnamed portal with parameters: "), "not what is to be tested: {context}");
    tx.execute("insert into t values ($1, $2)", &[&1, &"a"]).await?;
    tx.execute("update t set v = $1", &[&"b\nSQL statement \"x\""]).await?;
    tx.execute("delete from t where v like $1", &[&"b%"]).await?;
    tx.execute("insert into t values ($1, $2)", &[&1, &"c"]).await?;
    let inside =
        tx.query("select inside($1)", &[&"update t set v = 'portal \"x\" with parameters: $1'"]).await;
    let error =
        inside.err().and_then(|e| e.as_db_error().map(|e| e.message().to_owned())).unwrap_or_default();
    ensure!(
        error.contains("is changed inside of a function or trigger, and its key is deferrable"),
        "{error}"
    );
    tx.rollback().await?;
    Ok(())
}
