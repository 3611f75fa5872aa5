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
