//! `pause`, `resume`, `wait-root`, `wait-provider`, `wait-sync`.

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::nodes::{LIMIT, outcome, pair};

#[tokio::test]
async fn pause_waits_for_the_worker() -> Result<()> {
    let (_root, leaf) = pair().await?;
    leaf.run(&["pause", "extra"]).await?.fails(1, &["command 'pause' got 1 args, but expects 0"]);
    let mut pausing = leaf.spawn(&["pause"])?.start()?;
    pausing.wait_for_output("Waiting for worker to accept", LIMIT).await?;
    assert!(pausing.is_running()?);
    assert_eq!(leaf.sql("select paused || ' ' || uptodate from pgq_node.local_state")?, "true false");
    // Meanwhile the pidfile keeps other changes away, but not a look.
    leaf.run(&["resume"]).await?.fails(1, &["Pidfile exists"]);
    leaf.run(&["node-info"]).await?.says(&["Status: PAUSED, NON-UP-TO-DATE"]);
    leaf.sql("select pgq_node.set_consumer_uptodate('q', 'w_leaf', true)")?;
    assert!(pausing.wait(LIMIT).await?.success(), "{}", pausing.output());
    leaf.run(&["resume", "--no-wait"]).await?.ok();
    assert_eq!(leaf.sql("select paused from pgq_node.local_state")?, "f");
    leaf.run(&["pause", "--set", "job_name=nobody"]).await?.fails(1, &["Consumer not found", "nobody"]);
    Ok(())
}

#[tokio::test]
async fn a_wait_ends_with_a_signal() -> Result<()> {
    let (_root, leaf) = pair().await?;
    let mut waiting = leaf.spawn(&["wait-root"])?.start()?;
    waiting.wait_for_output("Waiting for tick > 1", LIMIT).await?;
    // Nothing moves here: it says what has to run.
    waiting.wait_for_output("is still at tick 1: worker w_leaf must run", LIMIT).await?;
    waiting.signal(Signal::SIGINT)?;
    assert_eq!(waiting.wait(LIMIT).await?.code(), Some(1), "{}", waiting.output());
    // The pidfile went with it.
    leaf.run(&["resume", "--no-wait"]).await?.ok();
    Ok(())
}

#[tokio::test]
async fn waits_end_when_the_node_has_come_that_far() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.run(&["wait-root"]).await?.says(&["Current node is root, no need to wait"]);
    for command in ["wait-root", "wait-provider"] {
        let mut waiting = leaf.spawn(&[command])?.start()?;
        waiting.wait_for_output("Waiting for tick > ", LIMIT).await?;
        leaf.sql("select pgq_node.set_consumer_completed('q', 'w_leaf', (select last_tick_id + 1 from pgq_node.local_state))")?;
        assert!(waiting.wait(LIMIT).await?.success(), "{}", waiting.output());
        assert!(waiting.output().contains("Got tick"), "{}", waiting.output());
    }
    Ok(())
}

#[tokio::test]
async fn wait_sync_shows_errors_and_ends() -> Result<()> {
    let (root, leaf) = pair().await?;
    leaf.run(&["wait-sync"]).await?.says(&["0/0 table(s) to copy", "All done"]);
    for node in [&root, &leaf] {
        node.sql("create table a (id int primary key); create table b (id int primary key)")?;
    }
    root.run(&["add-table", "a", "b"]).await?.ok();
    leaf.run(&["add-table", "b", "--expect-sync"]).await?.ok();
    leaf.sql("select pgq_node.set_consumer_error('q', 'w_leaf', 'no route to host')")?;
    let mut adding = leaf.spawn(&["add-table", "a", "--wait-sync"])?.start()?;
    adding.wait_for_output("w_leaf: no route to host", LIMIT).await?;
    assert!(adding.output().contains("1/2 table(s) to copy"), "{}", adding.output());
    leaf.sql("select londiste.local_set_table_state('q', 'public.a', null, 'ok')")?;
    assert!(adding.wait(LIMIT).await?.success(), "{}", adding.output());
    assert!(adding.output().contains("public.a: finished (2/2)"), "{}", adding.output());
    outcome(leaf.spawn(&["wait-sync"])?).await?.says(&["0/2 table(s) to copy"]);
    Ok(())
}
