//! One directory for everything that a run leaves on disk, and the end of everything that runs in it.
//!
//! Daemons, and what they start themselves, have their working directory there. A few lines of shell wait in a process
//! group of their own for the end of this program, however it ends (Ctrl-C, SIGTERM, SIGKILL): the kernel then closes
//! their standard input. They end whatever works in the directory, and remove it. Servers have a watchdog of their own.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// First SIGTERM, then, for what is left after 5 s, SIGKILL.
const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT PIPE
read -r order
dir=$1
mine() {
    for p in /proc/[0-9]*; do
        case "$(readlink "$p/cwd" 2>/dev/null)" in
        "$dir" | "$dir"/*) echo "${p#/proc/}" ;;
        esac
    done
}
pids=$(mine)
[ -n "$pids" ] && kill -TERM $pids 2>/dev/null
n=0
while [ -n "$(mine)" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
pids=$(mine)
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
rm -rf -- "$dir"
"#;

static PLACE: Mutex<Option<Workplace>> = Mutex::new(None);

struct Workplace {
    dir: PathBuf,
    watchdog: Child,
}

impl Workplace {
    fn open() -> Result<Workplace> {
        let made = tempfile::Builder::new().prefix("bench-").tempdir()?;
        // Processes are known by their working directory, which the kernel tells without symbolic links.
        let dir = made.path().canonicalize()?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "bench-watchdog"])
            .arg(&dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the watchdog (/bin/sh)")?;
        // From here on the watchdog removes it.
        let _kept = made.keep();
        Ok(Workplace { dir, watchdog })
    }
}

/// A new directory for one comparison.
///
/// # Errors
/// It cannot be made.
pub fn directory() -> Result<TempDir> {
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    if place.is_none() {
        *place = Some(Workplace::open()?);
    }
    let base: &Path = &place.as_ref().context("a directory that was just made")?.dir;
    Ok(tempfile::Builder::new().prefix("run-").tempdir_in(base)?)
}

/// Ends what is left, and waits until it is gone.
///
/// # Errors
/// The watchdog cannot be waited for.
pub fn close() -> Result<()> {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut place) = place {
        drop(place.watchdog.stdin.take());
        place.watchdog.wait().context("waiting for the watchdog")?;
    }
    Ok(())
}
