//! Real processes: start, signals, pidfile, background, log files.

#![allow(clippy::unwrap_used)] // a test fails by panicking, its functions too

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The example that the tests run; built here, because `cargo test --test service` alone would not.
fn program() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let example = BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "skytools", "--example", "idle_service"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "cargo build of the example failed");
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().parent().unwrap().join("examples/idle_service")
    });
    Command::new(example)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A configuration in a directory of its own; what still runs at the end is killed.
struct Place {
    dir: tempfile::TempDir,
    children: Vec<Child>,
}

impl Place {
    fn new(keys: &str) -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        place.configure(keys);
        place
    }

    fn configure(&self, keys: &str) {
        let dir = self.dir.path().display();
        let text = format!("[idle]\npidfile = {dir}/x.pid\nlogfile = {dir}/x.log\nloop_delay = 1000\n{keys}");
        std::fs::write(self.ini(), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ini(&self) -> PathBuf {
        self.path("x.ini")
    }

    fn run(&self, args: &[&str]) -> Output {
        program().args(args).arg(self.ini()).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts in the foreground and waits until the first round.
    fn start(&mut self) -> Pid {
        let child = program().arg("-v").arg(self.ini()).stderr(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        self.children.push(child);
        self.wait_for_log("at work");
        assert_eq!(self.read("x.pid"), pid.to_string());
        pid
    }

    fn finish(&mut self) -> ExitStatus {
        let mut child = self.children.pop().unwrap();
        let mut status = None;
        wait_until("the process ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.read("x.log").contains(text));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only a failed test leaves a process in the background.
        if let Ok(pid) = self.read("x.pid").parse() {
            let killed = kill(Pid::from_raw(pid), Signal::SIGKILL);
            eprintln!("killed leftover process {pid}: {killed:?}");
        }
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}

#[test]
fn version_and_sample() {
    let output = program().arg("-V").output().unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("idle_service, Skytools version {}\n", env!("CARGO_PKG_VERSION"))
    );
    let output = program().args(["--ini", "--set", "hang=1"]).output().unwrap();
    assert!(output.status.success());
    let sample = text(&output.stdout);
    assert!(sample.starts_with("[idle_service]\n\n# 1: the first"), "{sample}");
    assert!(sample.contains("#hang = 0\nhang = 1\n") && sample.contains("\npidfile = "), "{sample}");
}

#[test]
fn mistakes() {
    let output = program().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("hint: "), "{}", text(&output.stderr));
    assert_eq!(program().arg("--nonsense").output().unwrap().status.code(), Some(2));
    let output = program().arg("/nowhere/x.ini").output().unwrap();
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.starts_with("error: cannot read configuration file /nowhere/x.ini\n"), "{shown}");
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");

    let place = Place::new("loop_delay = x\n");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("x.ini:5: [idle] loop_delay: \"x\" is not a number"));
    assert_eq!(place.read("x.log").matches("loop_delay").count(), 1);
    assert!(!exists(&place.path("x.pid")));
    let output = place.run(&["-d", "--set", "pidfile="]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("pidfile"));
}

#[test]
fn stop_interrupts_the_sleep_and_reload_is_seen() {
    let mut place = Place::new("message = one\n");
    place.start();
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "Pidfile exists, another process running?\n");

    place.configure("message = two\n");
    assert!(place.run(&["-r"]).status.success());
    place.wait_for_log("message_key=two");
    place.configure("loop_delay = what\n");
    assert!(place.run(&["-r", "--set", "loop_delay=1"]).status.success());
    place.wait_for_log("reload failed");
    assert!(place.run(&["-s", "--set", "loop_delay=1"]).status.success());
    assert_eq!(place.finish().code(), Some(0));
    assert!(!exists(&place.path("x.pid")));
    let log = place.read("x.log");
    assert!(log.contains(" INFO {rounds: 1}\n"), "{log}");
    let output = place.run(&["-s", "--set", "loop_delay=1"]);
    assert!(output.status.success() && text(&output.stderr).contains("not running"));
}

#[test]
fn terminate_abandons_a_round() {
    let mut place = Place::new("hang = 1\n");
    let pid = place.start();
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(place.finish().code(), Some(0));
    assert!(!exists(&place.path("x.pid")));
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let mut place = Place::new("hang = 1\n");
    let pid = place.start();
    kill(pid, Signal::SIGINT).unwrap();
    place.wait_for_log("stopping after the current work");
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(place.finish().code(), Some(1));
    assert!(!exists(&place.path("x.pid")));
}

#[test]
fn stale_and_corrupt_pidfiles() {
    let mut place = Place::new("");
    let pid = place.start();
    kill(pid, Signal::SIGKILL).unwrap();
    assert!(!place.finish().success());
    assert!(exists(&place.path("x.pid")));
    let output = place.run(&["--set", "loop_delay=-1"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "Ignoring stale pidfile\n");
    std::fs::write(place.path("x.pid"), "abc").unwrap();
    for args in [&["-s"][..], &[]] {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("does not hold a process id"));
    }
}

#[test]
fn background_and_log_rotation() {
    let place = Place::new("");
    let output = place.run(&["-d"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    place.wait_for_log("at work");
    assert!(!text(&output.stderr).contains("at work"));
    std::fs::rename(place.path("x.log"), place.path("moved.log")).unwrap();
    assert!(place.run(&["-r"]).status.success());
    wait_until("the log file is opened again", || place.read("x.log").contains("at work"));
    // The signal itself was noted before the file was opened again.
    assert!(place.read("moved.log").contains("SIGHUP"));
    assert!(place.run(&["-k"]).status.success());
    wait_until("the pidfile is gone", || !exists(&place.path("x.pid")));
}

#[test]
fn json_log() {
    let place = Place::new("log_format = json\nloop_delay = -1\n");
    let output = place.run(&["-v"]);
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "at work" && line["message_key"] == "none"));
    assert_eq!(lines.len(), place.read("x.log").lines().count());
}
