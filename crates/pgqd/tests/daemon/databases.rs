//! Which databases are served: detected, listed, dropped, without pgq, with a bad version, after a reload.

use anyhow::Result;
use nix::sys::signal::Signal;
use testkit::{PATIENCE, wait_for};

use crate::fixture::{Daemon, base, is_ticked, original_database, original_server};

#[tokio::test]
async fn databases_are_found_and_forgotten() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "first")?;
    let mut daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "first", "q").await?;

    // Later, with every kind of quote in its name.
    let odd = "it's \"a\" \\ dätabase";
    original_database(&cluster, odd)?;
    is_ticked(&cluster, odd, "q").await?;
    daemon.says(&format!("[{odd}]: pgq version ok")).await?;

    cluster.psql("postgres", "drop database first with (force)")?;
    daemon.says("Unregister database: [first]").await?;
    is_ticked(&cluster, odd, "q").await?;

    // A database that gets pgq later.
    cluster.create_database("late")?;
    wait_for("it is looked at", PATIENCE, || async {
        let seen = "select count(*) from pg_stat_database where datname = 'late' and sessions > 0";
        Ok((cluster.psql("postgres", seen)?.trim() == "1").then_some(()))
    })
    .await?;
    cluster.psql("late", "create extension pgq; select pgq.create_queue('q')")?;
    is_ticked(&cluster, "late", "q").await
}

#[tokio::test]
async fn a_bad_version_is_left_alone() -> Result<()> {
    let cluster = original_server().await?;
    cluster.create_database("old")?;
    cluster.psql("old", "create schema pgq; create function pgq.version() returns text language sql as $$ select '2.1.12'::text $$")?;
    cluster.create_database("none")?;
    cluster.psql("none", "create schema pgq; create function pgq.version() returns text language sql as $$ select null::text $$")?;
    original_database(&cluster, "good")?;
    let mut daemon = Daemon::serving(&cluster)?;
    daemon.says("[old]: bad pgq version, ignoring").await?;
    daemon.says("[none]: bad pgq version, ignoring").await?;
    is_ticked(&cluster, "good", "q").await?;
    // From now on a look may come upon pgq.version() as it goes, which is an error.
    let said = daemon.process.stderr();
    assert!(!said.contains("ERROR"), "{said}");
    cluster.psql("old", "drop schema pgq cascade; create extension pgq; select pgq.create_queue('q')")?;
    is_ticked(&cluster, "old", "q").await?;
    assert_eq!(daemon.process.stderr().matches("[none]: bad").count(), 1, "told once");
    Ok(())
}

#[tokio::test]
async fn a_list_is_obeyed_and_a_reload_reads_everything() -> Result<()> {
    let (one, two) = (original_server().await?, original_server().await?);
    for db in ["a", "b"] {
        original_database(&one, db)?;
        original_database(&two, db)?;
    }
    let mut daemon = Daemon::start(&format!("{}database_list = a\n", base(&one)))?;
    is_ticked(&one, "a", "q").await?;
    assert!(!daemon.process.stderr().contains("[b]"));

    daemon.configure(&format!("{}database_list = b, no such\n", base(&one)))?;
    daemon.process.signal(Signal::SIGHUP)?;
    is_ticked(&one, "b", "q").await?;
    daemon.says("Unregister database: [a]").await?;
    // One that does not exist is told, and is nobody else's trouble.
    daemon.says("database \"no such\" does not exist").await?;
    daemon.says("Names in database_list are separated by commas").await?;
    is_ticked(&one, "b", "q").await?;

    // A file with a mistake changes nothing.
    daemon.configure(&format!("{}ticker_period = often\n", base(&one)))?;
    daemon.process.signal(Signal::SIGHUP)?;
    daemon.says("going on with the old configuration").await?;
    is_ticked(&one, "b", "q").await?;

    // Another server, for databases that are served already.
    daemon.configure(&format!("{}database_list = b\n", base(&two)))?;
    daemon.process.signal(Signal::SIGHUP)?;
    is_ticked(&two, "b", "q").await?;
    wait_for("the first server is left", PATIENCE, || async {
        let connected = "select count(*) from pg_stat_activity where application_name = 'pgqd'";
        Ok((one.psql("postgres", connected)?.trim() == "0").then_some(()))
    })
    .await?;

    // No list: detection.
    daemon.configure(&base(&two))?;
    daemon.process.signal(Signal::SIGHUP)?;
    is_ticked(&two, "a", "q").await
}

#[tokio::test]
async fn missing_rights_are_told_once_and_stop_nobody_else() -> Result<()> {
    let cluster = original_server().await?;
    for db in ["allowed", "refused"] {
        original_database(&cluster, db)?;
        cluster.psql(db, "alter table pgq.queue owner to postgres")?;
    }
    cluster.psql("postgres", "create role ticker login")?;
    cluster.psql("allowed", "grant usage on schema pgq to public; grant pgq_admin to ticker")?;
    cluster.psql("refused", "revoke all on schema pgq from public, pgq_admin, pgq_reader, pgq_writer")?;
    let line = base(&cluster).replace("user=postgres", "user=ticker");
    let mut daemon = Daemon::start(&line)?;
    daemon.says("[refused]: ticker: permission denied").await?;
    is_ticked(&cluster, "allowed", "q").await?;
    assert_eq!(daemon.process.stderr().matches("[refused]: ticker").count(), 1);
    Ok(())
}
