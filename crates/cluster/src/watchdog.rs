//! The process that ends what works in a directory, and removes the directory, when its owner is gone.
//!
//! It is a few lines of shell, so that it needs no program of ours to be found and survives whatever kills the
//! owner. It sits in its own process group (a Ctrl-C at the terminal does not reach it) and waits for the end of
//! its standard input, which the kernel closes when the owner ends in any way.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::{Error, Result};

/// First the signal asked for, then, for what is left after 5 s, SIGKILL; then the directory goes. Processes are
/// known by their working directory, never by a process id read from a file, which may have been reused.
const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT PIPE
read -r order
[ "$order" = keep ] && exit 0
dir=$1 place=$2 signal=$3
mine() {
    for p in /proc/[0-9]*; do
        case "$(readlink "$p/cwd" 2>/dev/null)" in
        "$place" | "$place"/*) echo "${p#/proc/}" ;;
        esac
    done
}
pids=$(mine)
[ -n "$pids" ] && kill -"$signal" $pids 2>/dev/null
n=0
while [ -n "$(mine)" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
pids=$(mine)
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
rm -rf -- "$dir"
"#;

/// Handle of a watchdog: dropping it makes the watchdog do its work, and waits until it is done.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Starts a watchdog. In the end it sends `signal` to every process whose working directory is `place` or below, and removes `dir`.
    ///
    /// The kernel tells working directories without symbolic links, so `place` must have none.
    ///
    /// # Errors
    /// `/bin/sh` cannot be started.
    pub fn start(dir: &Path, place: &Path, signal: Signal) -> Result<Watchdog> {
        let name = signal.as_str();
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "watchdog"])
            .args([dir, place])
            .arg(name.strip_prefix("SIG").unwrap_or(name))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| {
                Error::io(format!("starting the watchdog of {} (/bin/sh) failed", dir.display()), e)
            })?;
        Ok(Watchdog { child })
    }

    /// Has the work done now, and waits until it is: as dropping does, which can only print what failed.
    ///
    /// # Errors
    /// The watchdog cannot be waited for.
    pub fn finish(mut self) -> Result<()> {
        self.wait()
    }

    /// Ends the watchdog without removing anything.
    pub(crate) fn dismiss(mut self) -> Result<()> {
        if let Some(mut pipe) = self.child.stdin.take() {
            pipe.write_all(b"keep\n").map_err(|e| Error::io("dismissing a watchdog failed", e))?;
        }
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().map_err(|e| Error::io("waiting for a watchdog failed", e))?;
        Ok(())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Err(error) = self.wait() {
            eprintln!("{error:?}");
        }
    }
}
