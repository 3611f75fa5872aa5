//! Kills the processes of the tests when the test program itself is killed.
//!
//! One small shell per test program learns the process ids through a pipe. When the pipe closes – the kernel does
//! that however the test program ends – it kills what was not taken off its list.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};

const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT PIPE
pids=' '
while read -r what pid; do
    case $what in
    add) pids="$pids$pid " ;;
    del) pids="${pids%% $pid *} ${pids#* $pid }" ;;
    esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
"#;

static REAPER: OnceLock<Result<Mutex<Child>, String>> = OnceLock::new();

/// Has a process that no [`crate::Process`] holds – a daemon that went into the background – killed when the test
/// program ends, unless it has ended by itself and this was told by [`forget`].
pub fn kill_at_end(pid: u32) -> Result<()> {
    add(pid)
}

/// The process of [`kill_at_end`] has ended; its id may be reused from now on.
pub fn forget(pid: u32) -> Result<()> {
    remove(pid)
}

/// Puts a process on the list.
pub(crate) fn add(pid: u32) -> Result<()> {
    tell("add", pid)
}

/// Takes a process off the list; to be called before its id can be reused, that is before it is waited for.
pub(crate) fn remove(pid: u32) -> Result<()> {
    tell("del", pid)
}

fn tell(what: &str, pid: u32) -> Result<()> {
    let reaper = REAPER.get_or_init(|| start().map_err(|e| e.to_string())).as_ref();
    let reaper = reaper.map_err(|e| anyhow!("starting the tests' reaper (/bin/sh) failed: {e}"))?;
    let mut child = reaper.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = child.stdin.as_mut().context("the reaper's pipe is closed")?;
    writeln!(pipe, "{what} {pid}").context("writing to the tests' reaper")
}

fn start() -> std::io::Result<Mutex<Child>> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "testkit-reaper"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(Mutex::new)
}
