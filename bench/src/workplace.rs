//! One directory for everything that a run leaves on disk, and the end of everything that runs in it.
//!
//! Daemons, and what they start themselves, have their working directory there. A watchdog ends whatever works in the
//! directory when this program is gone, however it ended, and removes it. Servers have a watchdog of their own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use cluster::Watchdog;
use nix::sys::signal::Signal;
use tempfile::TempDir;

static PLACE: Mutex<Option<Workplace>> = Mutex::new(None);

struct Workplace {
    dir: PathBuf,
    watchdog: Watchdog,
}

impl Workplace {
    fn open() -> Result<Workplace> {
        let made = tempfile::Builder::new().prefix("bench-").tempdir()?;
        // Processes are known by their working directory, which the kernel tells without symbolic links.
        let dir = made.path().canonicalize()?;
        let watchdog = Watchdog::start(&dir, &dir, Signal::SIGTERM)?;
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
    if let Some(place) = place {
        place.watchdog.finish()?;
    }
    Ok(())
}
