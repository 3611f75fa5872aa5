//! Pidfiles: one running process per file, and signals sent through it.
//!
//! The format is the original's: the process id in decimal without newline, so programs of both suites understand
//! each other's files. Ours additionally holds a lock on the file for as long as it runs: a process id that was
//! reused cannot be mistaken for us, and two starts at the same moment cannot both succeed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Error, ErrorKind, Result};

/// What a pidfile says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// There is no such file.
    Missing,
    /// The file is empty or its process is gone.
    Stale,
    /// The process runs.
    Live(Pid),
}

/// What came of sending a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The signal was delivered.
    Delivered,
    /// There is no pidfile.
    NoPidfile,
    /// The process is gone, or the file is empty.
    NotRunning,
}

/// Reads the pidfile and looks whether its process runs.
///
/// # Errors
/// The file cannot be read, its first line is no process id, or asking about the process is not permitted.
pub fn status(path: &Path) -> Result<Status> {
    let Some(pid) = read_pid(path)? else { return Ok(Status::Missing) };
    match pid {
        Some(pid) if send(path, pid, None)? => Ok(Status::Live(pid)),
        _ => Ok(Status::Stale),
    }
}

/// Sends a signal to the process of the pidfile.
///
/// # Errors
/// As [`status`].
pub fn signal(path: &Path, signal: Signal) -> Result<Sent> {
    match read_pid(path)? {
        None => Ok(Sent::NoPidfile),
        Some(Some(pid)) if send(path, pid, Some(signal))? => Ok(Sent::Delivered),
        Some(_) => Ok(Sent::NotRunning),
    }
}

/// `None`: no file. `Some(None)`: an empty one.
fn read_pid(path: &Path) -> Result<Option<Option<Pid>>> {
    let failed =
        |e| Error::new(ErrorKind::System, format!("cannot read pidfile {}", path.display())).with_source(e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Ok(Some(None));
    }
    // 0 and negative numbers would address process groups.
    match line.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(Some(Some(Pid::from_raw(pid)))),
        _ => Err(Error::state(format!("pidfile {} does not hold a process id", path.display()))
            .hint("Check that the key pidfile names the right file; remove the file if no process runs.")),
    }
}

/// False when the process does not exist.
fn send(path: &Path, pid: Pid, signal: Option<Signal>) -> Result<bool> {
    match kill(pid, signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(e) => {
            let doing = format!("cannot signal process {pid} of pidfile {}", path.display());
            Err(Error::new(ErrorKind::Permission, doing).with_source(e))
        }
    }
}

/// A pidfile of this process; removed when dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    file: File,
}

impl Pidfile {
    /// Writes this process's id to the file and locks it.
    ///
    /// # Errors
    /// [`ErrorKind::State`] when another process holds it; [`ErrorKind::System`] when it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e| {
            Error::new(ErrorKind::System, format!("cannot write pidfile {}", path.display())).with_source(e)
        };
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Err(already_running(path)),
                // Some network file systems have no locks; the process id alone has to do there.
                Err(std::fs::TryLockError::Error(e)) => {
                    tracing::debug!(error = %e, "cannot lock the pidfile")
                }
            }
            // The file may have been removed by its owner between open and lock.
            let ours = file.metadata().map_err(failed)?;
            match std::fs::metadata(path) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {}
                Ok(_) => continue,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            }
            if let Status::Live(pid) = status(path)?
                && pid != Pid::this()
            {
                return Err(already_running(path));
            }
            file.set_len(0).map_err(failed)?;
            file.write_all(std::process::id().to_string().as_bytes()).map_err(failed)?;
            return Ok(Pidfile { path: path.to_owned(), file });
        }
    }

    /// The name of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the name still leads to the file that this process wrote.
    fn is_ours(&self) -> bool {
        match (self.file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(ours), Ok(named)) => (named.dev(), named.ino()) == (ours.dev(), ours.ino()),
            _ => false,
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "cannot remove pidfile {}", self.path.display());
        }
    }
}

fn already_running(path: &Path) -> Error {
    Error::state("Pidfile exists, another process running?")
        .hint(format!("Stop it with -s or -k, or look at {}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        (dir, path)
    }

    #[test]
    fn life_of_a_pidfile() {
        let (_dir, path) = place();
        assert_eq!(status(&path).unwrap(), Status::Missing);
        assert_eq!(signal(&path, Signal::SIGTERM).unwrap(), Sent::NoPidfile);
        let pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        assert_eq!(status(&path).unwrap(), Status::Live(Pid::this()));
        let error = Pidfile::create(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert_eq!(pidfile.path(), path);
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn stale_and_foreign_files() {
        let (_dir, path) = place();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        for text in ["", "\n", &child.id().to_string()] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(status(&path).unwrap(), Status::Stale);
            assert_eq!(signal(&path, Signal::SIGTERM).unwrap(), Sent::NotRunning);
            drop(Pidfile::create(&path).unwrap());
        }
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        std::fs::write(&path, format!("{}\nmore", child.id())).unwrap();
        assert!(Pidfile::create(&path).is_err(), "a live process of the original holds no lock");
        assert_eq!(signal(&path, Signal::SIGKILL).unwrap(), Sent::Delivered);
        child.wait().unwrap();
        for text in ["abc", "0", "-1", "99999999999"] {
            std::fs::write(&path, text).unwrap();
            assert!(status(&path).is_err() && signal(&path, Signal::SIGTERM).is_err(), "{text}");
        }
    }

    #[test]
    fn somebody_elses_file_is_left_alone() {
        let (_dir, path) = place();
        let pidfile = Pidfile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "1").unwrap();
        drop(pidfile);
        assert!(path.exists());
    }
}
