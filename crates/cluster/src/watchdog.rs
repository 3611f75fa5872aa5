//! The process that removes a cluster when its owner is gone.
//!
//! It is a few lines of shell, so that it needs no program of ours to be found and survives whatever kills the
//! owner. It sits in its own process group (a Ctrl-C at the terminal does not reach it) and waits for the end of
//! its standard input, which the kernel closes when the owner ends in any way.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Error, Result};

/// First an immediate shutdown, then, for what is left after 5 s, SIGKILL; then the directory goes. Servers are
/// known by their working directory, never by a process id read from a file, which may have been reused.
const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT PIPE
read -r order
[ "$order" = keep ] && exit 0
dir=$1
mine() {
    for p in /proc/[0-9]*; do
        [ "$(readlink "$p/cwd" 2>/dev/null)" = "$dir/data" ] && echo "${p#/proc/}"
    done
}
pids=$(mine)
[ -n "$pids" ] && kill -QUIT $pids 2>/dev/null
n=0
while [ -n "$(mine)" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
pids=$(mine)
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
rm -rf -- "$dir"
"#;

/// Handle of the watchdog: dropping it makes the watchdog remove the directory.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Starts the watchdog for the cluster in `dir` (whose data is in `dir/data`).
    pub(crate) fn start(dir: &Path) -> Result<Watchdog> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("cluster-watchdog")
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| Error::io("starting the cluster's watchdog (/bin/sh) failed", e))?;
        Ok(Watchdog { child })
    }

    /// Ends the watchdog without removing anything.
    pub(crate) fn dismiss(mut self) -> Result<()> {
        let failed = |e| Error::io("dismissing the cluster's watchdog failed", e);
        if let Some(mut pipe) = self.child.stdin.take() {
            pipe.write_all(b"keep\n").map_err(failed)?;
        }
        self.child.wait().map_err(failed)?;
        Ok(())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("waiting for a cluster's watchdog failed: {error}");
        }
    }
}
