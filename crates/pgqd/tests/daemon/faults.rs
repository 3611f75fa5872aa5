//! The daemon survives what happens to servers and to itself.

use anyhow::{Result, ensure};
use cluster::Mode;
use testkit::faults::Proxy;
use testkit::{PATIENCE, wait_for};

use crate::fixture::{Daemon, base, is_ticked, original_database, original_server};

#[tokio::test]
async fn a_server_that_crashes_is_served_again() -> Result<()> {
    let mut cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let mut daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "db", "q").await?;
    cluster.restart(Mode::Immediate)?;
    is_ticked(&cluster, "db", "q").await?;
    cluster.crash()?;
    is_ticked(&cluster, "db", "q").await?;

    // Down for a while: told, and started again.
    let before = daemon.process.stderr().len();
    cluster.stop(Mode::Kill)?;
    wait_for("the loss is told", PATIENCE, || async {
        Ok(daemon.process.stderr()[before..].contains("[db]: ticker: ").then_some(()))
    })
    .await?;
    cluster.start_again()?;
    is_ticked(&cluster, "db", "q").await?;
    daemon.says("[db]: ticker: works again").await
}

#[tokio::test]
async fn a_daemon_that_starts_before_its_server() -> Result<()> {
    let mut cluster = original_server().await?;
    original_database(&cluster, "db")?;
    cluster.stop(Mode::Fast)?;
    let mut daemon = Daemon::serving(&cluster)?;
    daemon.says("looking for databases").await?;
    cluster.start_again()?;
    is_ticked(&cluster, "db", "q").await
}

#[tokio::test]
async fn a_server_that_does_not_answer_delays_no_other_database() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "stuck")?;
    original_database(&cluster, "fine")?;
    // One database's queue hangs in a lock, the other one goes on.
    let mut daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "stuck", "q").await?;
    let holder = testkit::connect(&cluster.connstr("stuck")).await?;
    holder.batch_execute("begin; lock table pgq.tick").await?;
    is_ticked(&cluster, "fine", "q").await?;
    daemon.says("[stuck]: ticker").await?;
    is_ticked(&cluster, "fine", "q").await?;
    holder.batch_execute("rollback").await?;
    is_ticked(&cluster, "stuck", "q").await
}

#[tokio::test]
async fn cut_connections_are_opened_again() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let proxy = Proxy::start(&cluster, "db")?;
    let lines = format!("base_connstr = {} user=postgres\ndatabase_list = db\n", proxy.base_connstr());
    let mut daemon = Daemon::start(&lines)?;
    for _ in 0..3 {
        is_ticked(&cluster, "db", "q").await?;
        proxy.cut();
    }
    is_ticked(&cluster, "db", "q").await?;
    assert!(daemon.process.is_running()?);
    Ok(())
}

#[tokio::test]
async fn killed_and_started_again() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let mut daemon = Daemon::start(&base(&cluster))?;
    for _ in 0..3 {
        is_ticked(&cluster, "db", "q").await?;
        daemon.process.kill9()?;
        assert!(daemon.pidfile().exists(), "a killed process cannot remove its pidfile");
        daemon.start_again()?;
    }
    is_ticked(&cluster, "db", "q").await
}

#[tokio::test]
async fn a_queue_that_refuses_ticks_is_named_once_and_holds_up_no_other() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    testkit::database_on(&cluster, "db")?;
    // As after a dump was restored into a younger server.
    cluster.psql(
        "db",
        "select pgq.create_queue('good'), pgq.create_queue('restored');
         update pgq.tick set tick_snapshot = '9000000000:9000000000:'
          where tick_queue = (select queue_id from pgq.queue where queue_name = 'restored')",
    )?;
    let mut daemon = Daemon::serving(&cluster)?;
    let refused = "no tick on queue \"restored\": Invalid PgQ state";
    daemon.says(refused).await?;
    for _ in 0..3 {
        is_ticked(&cluster, "db", "good").await?;
    }
    let log = daemon.process.output();
    ensure!(log.matches(refused).count() == 1, "{log}");
    ensure!(log.contains("skytools verify --repair"), "{log}");
    Ok(())
}

#[tokio::test]
async fn who_keeps_all_queues_from_ticking_is_named() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    testkit::database_on(&cluster, "db")?;
    cluster.psql("db", "select pgq.create_queue('q')")?;
    let mut daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "db", "q").await?;
    let holder = testkit::connect(&format!("{} application_name=stopped", cluster.connstr("db"))).await?;
    // what pgq.tick_on_demand takes
    holder.batch_execute("begin; select pg_advisory_xact_lock(1885827428, 1)").await?;
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let told = format!(
        "no queue gets ticks while pid {pid} (user \"postgres\", application \"stopped\", idle in transaction, in its transaction since "
    );
    daemon.says(&told).await?;
    holder.batch_execute("commit").await?;
    is_ticked(&cluster, "db", "q").await?;
    daemon.says("[db]: ticker: works again").await?;
    let log = daemon.process.output();
    ensure!(log.matches("no queue gets ticks").count() == 1, "{log}");
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_locked_keeps_no_other_from_rotating() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    testkit::database_on(&cluster, "db")?;
    cluster.psql(
        "db",
        "select pgq.create_queue('locked'), pgq.create_queue('other');
         update pgq.queue set queue_rotation_period = '0'",
    )?;
    let holder = testkit::connect(&cluster.connstr("db")).await?;
    holder.batch_execute("begin; select 1 from pgq.queue where queue_name = 'locked' for update").await?;
    let mut daemon = Daemon::serving(&cluster)?;
    testkit::wait_for("the other queue to rotate", testkit::PATIENCE, || async {
        let rotated = "select queue_cur_table > 0 from pgq.queue where queue_name = 'other'";
        Ok((cluster.psql("db", rotated)?.trim() == "t").then_some(()))
    })
    .await?;
    daemon.says("[db]: maint: select pgq.maint_rotate_tables_step1('locked') failed").await
}
