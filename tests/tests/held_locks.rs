//! Commands that meet a lock somebody keeps: they end, and name who has it.

use anyhow::{Result, ensure};
use e2e::pair::LIMIT;
use testkit::{PATIENCE, skytools};

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_repair_name_who_keeps_a_captured_table_locked() -> Result<()> {
    let db = testkit::empty_database().await?;
    let connstr = db.connstr().to_owned();
    skytools(["install", "--db", &connstr])?.succeed(LIMIT).await?;
    let client = testkit::connect(&connstr).await?;
    client
        .batch_execute("create table t (id int primary key); select pgq.create_queue('q'); select pgq.capture_table('q', 't')")
        .await?;
    let mut other = testkit::connect(&connstr).await?;
    other.batch_execute("set application_name = 'long alter'").await?;
    let holder = other.transaction().await?;
    holder.batch_execute("alter table t add column v text").await?;
    let process = skytools(["verify", "--lock-timeout", "1", "--db", &connstr])?.run(LIMIT).await?;
    let said = process.stderr();
    ensure!(process.status().is_some_and(|s| !s.success()), "{said}");
    for word in ["long alter", "public.t", "--lock-timeout"] {
        ensure!(said.contains(word), "{word}: {said}");
    }
    holder.rollback().await?;
    skytools(["verify", "--db", &connstr])?.succeed(LIMIT).await?;

    // Reading is possible, repairing is not.
    client.batch_execute("alter table t disable trigger user; drop sequence pgq.event_1_state_seq").await?;
    let holder = other.transaction().await?;
    holder.batch_execute("lock table pgq.event_template in share update exclusive mode").await?;
    let process =
        skytools(["verify", "--repair", "--lock-timeout", "1", "--db", &connstr])?.run(LIMIT).await?;
    let said = process.stdout();
    for word in ["not repaired", "long alter", "pgq.event_template"] {
        ensure!(said.contains(word), "{word}: {said}{}", process.stderr());
    }
    holder.rollback().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_says_whom_it_waits_for() -> Result<()> {
    let db = testkit::empty_database().await?;
    let connstr = db.connstr().to_owned();
    let mut other = testkit::connect(&connstr).await?;
    other.batch_execute("set application_name = 'forgotten script'").await?;
    let turn = other.transaction().await?;
    turn.batch_execute("select pg_advisory_xact_lock(1937340748, 1)").await?;
    let mut install = skytools(["install", "--db", &connstr])?.start()?;
    install.wait_for_output("forgotten script", PATIENCE).await?;
    turn.rollback().await?;
    let status = install.wait(LIMIT).await?;
    ensure!(status.success(), "{}", install.output());
    skytools(["verify", "--db", &connstr])?.succeed(LIMIT).await?;
    Ok(())
}
