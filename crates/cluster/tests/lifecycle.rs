//! Clusters start, crash, stop and disappear, whatever happens to their owner.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::{Cluster, Installation, Mode, Watchdog};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn servers_in(dir: &Path) -> usize {
    let data = dir.join("data");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .count()
}

#[test]
fn starts_stops_and_is_removed() {
    let mut cluster = Cluster::builder().conf("work_mem = 7MB").start().unwrap();
    let dir = cluster.dir().to_owned();
    assert!(dir.as_os_str().len() < 90);
    assert_eq!(cluster.psql("postgres", "show work_mem").unwrap().trim(), "7MB");
    cluster.create_database("odd 'na\"me\\").unwrap();
    assert_eq!(cluster.psql("odd 'na\"me\\", "select current_database()").unwrap().trim(), "odd 'na\"me\\");
    cluster.psql("postgres", "create table t(i int); insert into t values (1)").unwrap();
    for mode in [Mode::Fast, Mode::Immediate, Mode::Kill, Mode::Smart] {
        cluster.stop(mode).unwrap();
        assert!(!cluster.is_running());
        assert_eq!(servers_in(&dir), 0, "{mode:?}");
        cluster.start_again().unwrap();
        assert_eq!(cluster.psql("postgres", "select * from t").unwrap().trim(), "1", "{mode:?}");
    }
    cluster.crash().unwrap();
    assert_eq!(cluster.psql("postgres", "select * from t").unwrap().trim(), "1");
    drop(cluster);
    assert!(!dir.exists());
    assert_eq!(servers_in(&dir), 0);
}

#[test]
fn a_failing_start_tells_the_log_and_leaves_nothing() {
    let dir = std::env::temp_dir().join(format!("pg-bad-{}", std::process::id()));
    let error = Cluster::builder().directory(&dir).conf("no_such_setting = 1").start().unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error:?}");
    assert!(!dir.exists());
}

#[test]
fn sql_errors_carry_what_the_server_said() {
    let cluster = Cluster::builder().start().unwrap();
    let error = cluster.psql("postgres", "select 1; select nosuch").unwrap_err();
    assert!(error.to_string().contains("nosuch"), "{error}");
}

#[test]
fn loopback_port_on_request() {
    let cluster = Cluster::builder().tcp().start().unwrap();
    let dsn = cluster.tcp_connstr("postgres").unwrap();
    let psql = cluster.installation().client_program("psql").unwrap();
    let out = Command::new(psql).args(["-XAtc", "select 2", "-d", &dsn]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "2", "{out:?}");
    let quiet = Cluster::builder().start().unwrap();
    assert!(quiet.tcp_connstr("postgres").is_err());
}

#[test]
fn a_cached_initdb_gives_equal_clusters() {
    let cache = tempfile::tempdir().unwrap();
    let id = |c: &Cluster| c.psql("postgres", "select system_identifier from pg_control_system()").unwrap();
    let first = Cluster::builder().initdb_cache(cache.path()).start().unwrap();
    let second = Cluster::builder().initdb_cache(cache.path()).start().unwrap();
    assert_eq!(id(&first), id(&second));
    let third = Cluster::builder().initdb_cache(cache.path()).encoding("LATIN1").locale("C").start().unwrap();
    assert_ne!(id(&first), id(&third));
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 2);
}

#[test]
fn a_relocated_copy_has_its_own_extensions() {
    let copy = Installation::find(None).unwrap().relocate(|name| name.starts_with("pgq")).unwrap();
    std::fs::write(copy.extension_dir().join("ours.control"), "default_version = '1'\n").unwrap();
    std::fs::write(copy.extension_dir().join("ours--1.sql"), "create table ours_was_here();\n").unwrap();
    let cluster = Cluster::builder().installation(copy.installation()).start().unwrap();
    cluster.psql("postgres", "create extension ours; select * from ours_was_here").unwrap();
    let names =
        cluster.psql("postgres", "select name from pg_available_extensions where name like 'pgq%'").unwrap();
    assert_eq!(names, "");
}

/// Starts a process that owns a cluster; returns it and the cluster's directory.
fn owner() -> (Child, PathBuf) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_throwaway-postgres"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let dir = lines
        .find_map(|line| line.unwrap().strip_prefix("directory: ").map(PathBuf::from))
        .expect("the owner names its cluster");
    (child, dir)
}

#[test]
fn nothing_survives_a_killed_owner() {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let (mut child, dir) = owner();
        assert!(servers_in(&dir) > 0, "{signal}: {}", dir.display());
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        child.wait().unwrap();
        eventually("the watchdog removes the cluster", || !dir.exists() && servers_in(&dir) == 0);
    }
}

#[test]
fn a_kept_cluster_survives_and_its_command_removes_it() {
    let kept = Cluster::builder().start().unwrap().keep().unwrap();
    assert!(servers_in(&kept.dir) > 0);
    let status = Command::new("sh").arg("-c").arg(&kept.remove_command).status().unwrap();
    assert!(status.success());
    assert!(!kept.dir.exists());
    eventually("the kept server ends", || servers_in(&kept.dir) == 0);
}

/// What works below the place is asked to end by the signal, and ends by itself; a process elsewhere is left alone.
#[test]
fn a_watchdog_asks_before_it_removes() {
    let kept = tempfile::tempdir().unwrap();
    let kept_path = kept.path().canonicalize().unwrap();
    let dir = kept_path.join("run");
    let place = dir.join("work");
    std::fs::create_dir_all(place.join("below")).unwrap();
    let told = kept_path.join("told");
    let start = |cwd: &Path| {
        let ready = kept_path.join(format!("ready-{}", cwd.file_name().unwrap().to_string_lossy()));
        // It reads from a pipe that nobody writes to, so that it waits without a child of its own.
        let script =
            "trap 'echo ended >> \"$1\"; exit 7' TERM; : > \"$2\"; while :; do read -r line || exit 1; done";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([&told, &ready])
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        eventually("the process is ready", || ready.exists());
        child
    };
    let (mut at, mut below, mut elsewhere) = (start(&place), start(&place.join("below")), start(&dir));
    // Waiting for a child would close its pipe.
    let _pipes = [at.stdin.take(), below.stdin.take(), elsewhere.stdin.take()];
    // The watchdog waits until nobody is left there, so somebody collects the dead.
    let reaped = std::thread::spawn(move || [at.wait().unwrap().code(), below.wait().unwrap().code()]);
    Watchdog::start(&dir, &place, Signal::SIGTERM).unwrap().finish().unwrap();
    assert!(!dir.exists());
    assert_eq!(reaped.join().unwrap(), [Some(7), Some(7)]);
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "ended\nended\n");
    assert_eq!(elsewhere.try_wait().unwrap(), None);
    elsewhere.kill().unwrap();
    elsewhere.wait().unwrap();
}
