//! More than one daemon on a database.

use anyhow::Result;
use testkit::{PATIENCE, Process, wait_for};

use crate::fixture::{Daemon, base, is_ticked, original_database, original_server};

#[tokio::test]
async fn two_of_ours_make_one_sequence_of_ticks() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    // A snapshot taken before the lock would be older than the ticks made while waiting for it.
    cluster.psql(
        "db",
        "alter database db set default_transaction_isolation = 'repeatable read';
         create table public.seen (isolation text);
         create function public.look() returns trigger language plpgsql security definer as $$
            begin insert into public.seen values (current_setting('transaction_isolation')); return null; end $$;
         create trigger look after insert on pgq.tick for each row execute function public.look()",
    )?;
    cluster.psql("db", "update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0'")?;
    let lines = format!("{}ticker_period = 0.01\n", base(&cluster));
    let daemons = [Daemon::start(&lines)?, Daemon::start(&lines)?, Daemon::start(&lines)?];
    // A producer that keeps every tick busy, whatever the time between looks.
    let producer = testkit::connect(&cluster.connstr("db")).await?;
    wait_for("enough ticks", PATIENCE, || async {
        for _ in 0..20 {
            producer.execute("select pgq.insert_event('q', 't', 'd')", &[]).await?;
        }
        let ticks: i64 = producer.query_one("select count(*) from pgq.tick", &[]).await?.get(0);
        Ok((ticks > 300).then_some(()))
    })
    .await?;
    // Snapshots never go back: xmin and xmax grow with the number of the tick.
    let wrong = cluster.psql(
        "db",
        "select count(*) from (
           select tick_snapshot s, lag(tick_snapshot) over (order by tick_id) p from pgq.tick) x
         where txid_snapshot_xmin(s) < txid_snapshot_xmin(p) or txid_snapshot_xmax(s) < txid_snapshot_xmax(p)",
    )?;
    assert_eq!(wrong.trim(), "0");
    assert_eq!(cluster.psql("db", "select distinct isolation from public.seen")?.trim(), "read committed");
    for daemon in &daemons {
        assert!(!daemon.process.stderr().contains("ERROR"), "{}", daemon.process.stderr());
    }
    Ok(())
}

#[tokio::test]
async fn beside_the_original() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let ours = Daemon::serving(&cluster)?;
    let original = testkit::debian_originals()?.pgqd;
    let dir = tempfile::tempdir()?;
    let ini = dir.path().join("original.ini");
    // The same configuration file suits both.
    let text = std::fs::read_to_string(ours.ini())?;
    std::fs::write(&ini, text.replace("pgqd.pid", "original.pid") + "syslog = 0\n")?;
    let mut theirs = Process::command(original).args([&ini]).start()?;
    theirs.wait_for_output("pgq version ok", PATIENCE).await?;
    for _ in 0..5 {
        is_ticked(&cluster, "db", "q").await?;
    }
    theirs.wait_for_output("{ticks", PATIENCE).await?;
    for log in [ours.process.stderr(), theirs.stderr()] {
        assert!(!log.contains("ERROR"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn the_original_ticks_our_schema() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    testkit::database_on(&cluster, "ours")?;
    cluster.psql("ours", "select pgq.create_queue('q')")?;
    let dir = tempfile::tempdir()?;
    let ini = dir.path().join("original.ini");
    let quick = crate::fixture::QUICK;
    std::fs::write(&ini, format!("[pgqd]\n{quick}{}syslog = 0\n", base(&cluster)))?;
    let mut theirs = Process::command(testkit::debian_originals()?.pgqd).args([&ini]).start()?;
    theirs.wait_for_output("pgq version ok", PATIENCE).await?;
    is_ticked(&cluster, "ours", "q").await?;
    wait_for("statistics with maintenance", PATIENCE, || async {
        Ok(theirs.stderr().lines().any(|l| l.contains("maint: ") && !l.contains("maint: 0")).then_some(()))
    })
    .await?;
    assert!(!theirs.stderr().contains("ERROR"), "{}", theirs.stderr());
    Ok(())
}
