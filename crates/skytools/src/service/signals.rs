//! Signals as a value that can be asked and awaited.
//!
//! | signal  | meaning |
//! |---------|---------|
//! | SIGHUP  | log files are opened again; the loop reloads its configuration before the next round |
//! | SIGINT  | stop after the current round; a second one within a second ends the process at once with status 1 |
//! | SIGTERM | stop now: the round in progress is abandoned (its transaction rolls back) |
//!
//! Each of them ends an idle [`sleep`](Signals::sleep) at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::{Error, ErrorKind, Result};

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The time has passed.
    Elapsed,
    /// A reload was asked for; see [`Signals::take_reload`].
    Reload,
    /// The program shall stop.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    stop: bool,
    terminate: bool,
    /// Counts reload requests.
    reloads: u64,
}

struct Inner {
    state: watch::Sender<State>,
    reload: AtomicBool,
    /// The pending reload has not ended a sleep yet.
    reload_unseen: AtomicBool,
    /// Removed when the process ends at once.
    pidfile: Mutex<Option<PathBuf>>,
}

/// A handle on the process's signals; clones share their state.
#[derive(Clone)]
pub struct Signals(Arc<Inner>);

/// A second SIGINT within this time ends the process at once.
const IMPATIENCE: Duration = Duration::from_secs(1);

impl Signals {
    /// Takes over SIGHUP, SIGINT and SIGTERM. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn install() -> Result<Signals> {
        let failed = |e| Error::new(ErrorKind::System, "cannot install signal handlers").with_source(e);
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let signals = Signals::manual();
        let handle = signals.clone();
        tokio::spawn(async move {
            let mut last_interrupt: Option<Instant> = None;
            loop {
                tokio::select! {
                    Some(()) = hangup.recv() => {
                        tracing::info!("got SIGHUP, reloading");
                        crate::log::reopen();
                        handle.request_reload();
                    }
                    Some(()) = interrupt.recv() => {
                        if last_interrupt.is_some_and(|at| at.elapsed() < IMPATIENCE) {
                            tracing::warn!("second SIGINT, exiting at once");
                            handle.exit_now();
                        }
                        last_interrupt = Some(Instant::now());
                        tracing::info!("got SIGINT, stopping after the current work");
                        handle.request_stop();
                    }
                    Some(()) = terminate.recv() => {
                        tracing::info!("got SIGTERM, stopping");
                        handle.request_terminate();
                    }
                    else => break,
                }
            }
        });
        Ok(signals)
    }

    /// A handle without the process's signals, driven by the `request_…` functions: for tests and for embedding.
    pub fn manual() -> Signals {
        let (state, _) = watch::channel(State { stop: false, terminate: false, reloads: 0 });
        Signals(Arc::new(Inner {
            state,
            reload: AtomicBool::new(false),
            reload_unseen: AtomicBool::new(false),
            pidfile: Mutex::new(None),
        }))
    }

    /// Asks for a stop after the current round, as SIGINT does.
    pub fn request_stop(&self) {
        self.0.state.send_modify(|s| s.stop = true);
    }

    /// Asks for a stop now, as SIGTERM does.
    pub fn request_terminate(&self) {
        self.0.state.send_modify(|s| (s.stop, s.terminate) = (true, true));
    }

    /// Asks for a reload, as SIGHUP does.
    pub fn request_reload(&self) {
        self.0.reload.store(true, Ordering::SeqCst);
        self.0.reload_unseen.store(true, Ordering::SeqCst);
        self.0.state.send_modify(|s| s.reloads += 1);
    }

    /// Whether the program shall stop, at once or after the current round.
    pub fn stop_requested(&self) -> bool {
        self.0.state.borrow().stop
    }

    /// Whether the program shall stop now.
    pub fn terminate_requested(&self) -> bool {
        self.0.state.borrow().terminate
    }

    /// Whether a reload was asked for since the last call.
    pub fn take_reload(&self) -> bool {
        self.0.reload_unseen.store(false, Ordering::SeqCst);
        self.0.reload.swap(false, Ordering::SeqCst)
    }

    /// How often a reload was asked for: lets several loops notice the same one, see [`reloaded`](Self::reloaded).
    pub fn reload_count(&self) -> u64 {
        self.0.state.borrow().reloads
    }

    /// Completes when the reload count differs from `seen`, and returns it.
    pub async fn reloaded(&self, seen: u64) -> u64 {
        self.wait(|s| s.reloads != seen).await.reloads
    }

    /// Completes when the program shall stop, at once or after the current round.
    pub async fn stopped(&self) {
        self.wait(|s| s.stop).await;
    }

    /// Completes when the program shall stop now.
    pub async fn terminated(&self) {
        self.wait(|s| s.terminate).await;
    }

    /// Sleeps until the time has passed or a signal arrives. A pending stop returns at once; a pending reload
    /// does so once, so that a caller that does not reload still sleeps.
    pub async fn sleep(&self, duration: Duration) -> Wake {
        let reloads = self.reload_count();
        if self.stop_requested() {
            return Wake::Stop;
        }
        if self.0.reload_unseen.swap(false, Ordering::SeqCst) {
            return Wake::Reload;
        }
        tokio::select! {
            state = self.wait(|s| s.stop || s.reloads != reloads) => {
                if state.stop {
                    return Wake::Stop;
                }
                self.0.reload_unseen.store(false, Ordering::SeqCst);
                Wake::Reload
            }
            () = tokio::time::sleep(duration) => Wake::Elapsed,
        }
    }

    async fn wait(&self, mut wanted: impl FnMut(&State) -> bool) -> State {
        let mut receiver = self.0.state.subscribe();
        let state = receiver.wait_for(|s| wanted(s)).await.map(|state| *state);
        match state {
            Ok(state) => state,
            // Cannot happen: the sender lives in self.
            Err(_) => std::future::pending().await,
        }
    }

    /// Names the pidfile to remove when the process ends at once.
    pub(crate) fn set_pidfile(&self, path: Option<PathBuf>) {
        *self.0.pidfile.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }

    fn exit_now(&self) {
        if let Some(path) = self.0.pidfile.lock().unwrap_or_else(PoisonError::into_inner).take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(%error, "cannot remove pidfile {}", path.display());
        }
        std::process::exit(1);
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signals").field(&*self.0.state.borrow()).finish()
    }
}
