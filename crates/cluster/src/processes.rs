//! The processes of a server, found through `/proc`.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Error, Result};

/// How often a condition is looked at while waiting for it.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// The processes whose working directory is `data`: postmaster and backends change into their data directory, and
/// nothing else does, so this finds backends that lost their postmaster too, and no reused process id.
pub(crate) fn of_data_directory(data: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let cwd = std::fs::read_link(entry.path().join("cwd")).ok()?;
            (cwd == data).then(|| Pid::from_raw(pid))
        })
        .collect()
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn send(pid: Pid, signal: Signal) -> Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(Error::io(format!("sending {signal} to process {pid} failed"), e.into())),
    }
}

/// Waits until `done`, looking every few milliseconds.
pub(crate) fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !done()? {
        if Instant::now() >= deadline {
            return Err(Error::new(format!("{what}: not within {} s", limit.as_secs())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
