//! The kit does what the other tests rely on.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use testkit::{PATIENCE, Process, faults::Proxy, wait_for};

#[tokio::test]
async fn every_test_has_its_database() -> Result<()> {
    let (one, two) = (testkit::database().await?, testkit::empty_database().await?);
    assert_ne!(one.name(), two.name());
    one.connect().await?.batch_execute("create table mine()").await?;
    assert_eq!(two.psql("select count(*) from pg_class where relname = 'mine'")?.trim(), "0");
    let name = one.name().to_owned();
    drop(one);
    assert_eq!(two.psql(&format!("select count(*) from pg_database where datname = '{name}'"))?.trim(), "0");
    Ok(())
}

#[tokio::test]
async fn processes_tell_their_output_and_status() -> Result<()> {
    let mut process =
        Process::command("sh").args(["-c", "echo hello; echo oops >&2; read x; exit 3"]).start()?;
    process.wait_for_output("oops", PATIENCE).await?;
    let status = process.wait(PATIENCE).await?;
    assert_eq!(status.code(), Some(3));
    assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("hello\n", "oops\n"));

    let mut sleeper = Process::command("sleep").args(["1000"]).start()?;
    assert!(sleeper.is_running()?);
    let error = sleeper.wait_for_output("never", Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("never"), "{error}");
    sleeper.signal(Signal::SIGTERM)?;
    assert_eq!(sleeper.wait(PATIENCE).await?.code(), None);
    let error = Process::command("false").args([""; 0]).succeed(PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("false"), "{error}");
    Ok(())
}

#[tokio::test]
async fn waiting_tells_what_for_and_the_last_error() -> Result<()> {
    let mut left = 3;
    let value = wait_for("three looks", PATIENCE, || {
        left -= 1;
        let done = left == 0;
        async move { if done { Ok(Some(7)) } else { anyhow::bail!("not yet") } }
    })
    .await?;
    assert_eq!(value, 7);
    let error = wait_for::<(), _>("the impossible", Duration::from_millis(50), || async {
        anyhow::bail!("the cause")
    })
    .await
    .unwrap_err()
    .to_string();
    assert!(error.contains("the impossible") && error.contains("the cause"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_proxy_cuts_stalls_and_refuses() -> Result<()> {
    let cluster = testkit::shared_cluster()?;
    let proxy = Proxy::start(cluster, "postgres")?;
    let client = testkit::connect(&proxy.connstr()).await?;
    client.execute("select 1", &[]).await?;

    proxy.stall(true);
    let slow = client.execute("select 2", &[]);
    tokio::pin!(slow);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut slow).await.is_err(),
        "an answer through a stall"
    );
    proxy.stall(false);
    slow.await?;

    proxy.delay(Duration::from_millis(30));
    let start = std::time::Instant::now();
    client.execute("select 3", &[]).await?;
    assert!(start.elapsed() >= Duration::from_millis(60));
    proxy.delay(Duration::ZERO);

    proxy.cut();
    wait_for("the cut is seen", PATIENCE, || async { Ok(client.is_closed().then_some(())) }).await?;
    proxy.refuse(true);
    assert!(testkit::connect(&proxy.connstr()).await.is_err());
    proxy.refuse(false);
    testkit::connect(&proxy.connstr()).await?;
    Ok(())
}

#[tokio::test]
async fn the_originals_are_here() -> Result<()> {
    let debian = testkit::debian_originals()?;
    assert!(debian.pgqd.is_file());
    let python = tokio::task::spawn_blocking(testkit::python).await??;
    let said = Process::command(python.python())
        .args(["-c", "import pgq, skytools, londiste; print('found')"])
        .succeed(PATIENCE)
        .await?;
    assert_eq!(said.trim(), "found");
    python.program("londiste")?;
    Ok(())
}

#[tokio::test]
async fn the_proxy_speaks_tcp_too() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.tcp()).await?;
    let proxy = Proxy::start_tcp(&cluster, "postgres").await?;
    let client = testkit::connect(&proxy.connstr()).await?;
    client.execute("select 1", &[]).await?;
    proxy.cut();
    wait_for("the cut is seen", PATIENCE, || async { Ok(client.is_closed().then_some(())) }).await?;
    assert!(Proxy::start_tcp(testkit::shared_cluster()?, "postgres").await.is_err(), "no port to go to");
    Ok(())
}
