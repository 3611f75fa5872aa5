//! Switches, signals, exit status, pidfile and log lines.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use testkit::{PATIENCE, wait_for};

use crate::fixture::{Daemon, base, command, is_ticked, original_database, original_server};

#[tokio::test]
async fn help_version_and_sample_need_no_file() -> Result<()> {
    assert!(command(&["--help"]).succeed(PATIENCE).await?.contains("--ini"));
    assert!(command(&["-V"]).succeed(PATIENCE).await?.starts_with("pgqd version "));
    assert!(command(&["--ini"]).succeed(PATIENCE).await?.starts_with("[pgqd]\n"));
    Ok(())
}

#[tokio::test]
async fn mistakes_end_with_status_1() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let bad = dir.path().join("bad.ini");
    std::fs::write(&bad, "[pgqd]\nmaint_period = soon\n")?;
    let no_pidfile = dir.path().join("nopid.ini");
    std::fs::write(&no_pidfile, "[pgqd]\n")?;
    let background = dir.path().join("background.ini");
    let pidfile = dir.path().join("pgqd.pid");
    std::fs::write(&background, format!("[pgqd]\npidfile = {}\nmaint_period = soon\n", pidfile.display()))?;
    let [bad, no_pidfile, background] = [&bad, &no_pidfile, &background].map(|path| path.to_str().unwrap());
    for (arguments, said) in [
        (vec![], "config file"),
        (vec!["-x"], "-x"),
        (vec!["a.ini", "b.ini"], "one"),
        (vec!["/nonexistent/pgqd.ini"], "/nonexistent/pgqd.ini"),
        (vec![bad], "maint_period"),
        (vec!["-s", no_pidfile], "pidfile"),
        (vec!["-d", no_pidfile], "pidfile"),
        (vec!["-d", background], "maint_period"),
    ] {
        let process = command(&arguments).run(PATIENCE).await?;
        assert_eq!(process.status().unwrap().code(), Some(1), "{arguments:?}");
        assert!(process.stderr().contains(said), "{arguments:?}: {}", process.stderr());
    }
    Ok(())
}

#[tokio::test]
async fn signals_by_switch_and_by_kill() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let mut daemon = Daemon::serving(&cluster)?;
    let ini = daemon.ini().to_str().unwrap().to_owned();
    for (switch, signal, name, status) in
        [("-s", Signal::SIGINT, "SIGINT", 0), ("-k", Signal::SIGTERM, "SIGTERM", 1)]
    {
        is_ticked(&cluster, "db", "q").await?;
        let process = command(&["-r", &ini]).run(PATIENCE).await?;
        assert_eq!((process.status().unwrap().code(), process.stderr().trim()), (Some(0), "SIGHUP sent"));
        daemon.says("Got SIGHUP, re-reading config").await?;

        let process = command(&[switch, &ini]).run(PATIENCE).await?;
        assert_eq!(process.status().unwrap().code(), Some(0));
        assert_eq!(process.stderr().trim(), format!("{name} sent"));
        assert_eq!(daemon.process.wait(PATIENCE).await?.code(), Some(status), "{switch}");
        assert!(!daemon.pidfile().exists(), "{switch}");
        assert!(command(&[switch, &ini]).run(PATIENCE).await?.status().unwrap().success(), "nobody there");

        daemon.start_again()?;
        is_ticked(&cluster, "db", "q").await?;
        daemon.process.signal(signal)?;
        assert_eq!(daemon.process.wait(PATIENCE).await?.code(), Some(status), "{name}");
        assert!(!daemon.pidfile().exists(), "{name}");
        daemon.start_again()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_one_with_the_same_pidfile_is_refused() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let daemon = Daemon::serving(&cluster)?;
    is_ticked(&cluster, "db", "q").await?;
    let ini = daemon.ini();
    let second = command(&[ini.to_str().unwrap()]).run(PATIENCE).await?;
    assert_eq!(second.status().unwrap().code(), Some(1));
    assert!(second.output().to_lowercase().contains("pidfile exists"), "{}", second.output());
    is_ticked(&cluster, "db", "q").await
}

#[tokio::test]
async fn in_the_background_with_a_log_file() -> Result<()> {
    let cluster = original_server().await?;
    original_database(&cluster, "db")?;
    let dir = tempfile::tempdir()?;
    let file = |name: &str| dir.path().join(name);
    std::fs::write(
        file("pgqd.ini"),
        format!(
            "[pgqd]\nticker_period = 0.05\npidfile = {}\nlogfile = {}\n{}",
            file("pid").display(),
            file("log").display(),
            base(&cluster)
        ),
    )?;
    let ini = file("pgqd.ini");
    let ini = ini.to_str().unwrap();
    let starter = command(&["-dq", ini]).run(PATIENCE).await?;
    assert!(starter.status().unwrap().success(), "{}", starter.output());
    // The starter ends before its child has written the file.
    let pid: u32 = wait_for("the pidfile", PATIENCE, || async {
        Ok(std::fs::read_to_string(file("pid"))?.parse().ok())
    })
    .await?;
    testkit::reaper::kill_at_end(pid)?;
    let background = async {
        is_ticked(&cluster, "db", "q").await?;
        let log = std::fs::read_to_string(file("log"))?;
        // As the original writes them: 2026-11-20 10:15:47.343 UTC [19783] LOG Starting pgqd …
        let line = log.lines().find(|l| l.contains("Starting pgqd")).context("the first line")?;
        let words: Vec<&str> = line.split(' ').collect();
        ensure!((words[0].len(), words[1].len(), words[4]) == (10, 12, "LOG"), "{line}");
        ensure!(words[3].starts_with('[') && words[3].ends_with(']'), "{line}");
        // Moved away by logrotate: the same name is opened again.
        std::fs::rename(file("log"), file("log.1"))?;
        command(&["-r", ini]).run(PATIENCE).await?;
        wait_for("a new log file", PATIENCE, || async {
            Ok(std::fs::read_to_string(file("log"))?.contains("re-reading config").then_some(()))
        })
        .await
    }
    .await;
    // Ended in any case: nobody else would.
    command(&["-k", ini]).run(PATIENCE).await?;
    wait_for("the end of the daemon", PATIENCE, || async { Ok((!file("pid").exists()).then_some(())) })
        .await?;
    testkit::reaper::forget(pid)?;
    background
}
