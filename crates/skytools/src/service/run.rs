//! The work loop of every daemon.
//!
//! ```text
//!            ┌──────────────── reload wanted? re-read configuration, Job::reload
//!            ▼
//!   start → work ── More ──────────────────────────────► again at once
//!            │ ├─── Idle ── loop_delay > 0 ─► Job::idle ─► again        (loop_delay = 0: end; < 0: one round only)
//!            │ └─── Err ─── Job::reset, Job::failed ─► exception_sleep ─► again   (not looping: end with the error)
//!            └ stop asked for: finish the round, end │ SIGTERM: abandon the round, reset, end
//! ```

use std::future::Future;
use std::time::{Duration, Instant};

use super::quiet::FailureClock;
use super::{Signals, Wake};
use crate::config::Config;
use crate::log::Stats;
use crate::{Error, ErrorKind, Result};

/// What a round of work found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// There may be more: the next round follows at once.
    More,
    /// Nothing to do: the loop sleeps.
    Idle,
}

/// What a round of work is given.
#[derive(Debug)]
pub struct Turn {
    /// Statistics of the round, logged as one line after it.
    pub stats: Stats,
    /// The process's signals: test [`Signals::stop_requested`] in every inner loop.
    pub signals: Signals,
    /// False when this is the only round (`loop_delay` below zero).
    pub looping: bool,
}

/// The work of a daemon.
pub trait Job: Send {
    /// Runs once before the first round. A failure ends the program.
    fn startup(&mut self, signals: &Signals) -> impl Future<Output = Result<()>> + Send {
        let _signals = signals;
        async { Ok(()) }
    }

    /// One round. On SIGTERM the future is dropped wherever it waits, so everything must be safe to abandon.
    fn work(&mut self, turn: &mut Turn) -> impl Future<Output = Result<Work>> + Send;

    /// The configuration was read again. On failure the error is logged and the old settings stay.
    ///
    /// # Errors
    /// A value is not acceptable.
    fn reload(&mut self, config: &Config) -> Result<()> {
        let _config = config;
        Ok(())
    }

    /// Drops all connections and half-done state, after an error and before the end.
    fn reset(&mut self) -> impl Future<Output = ()> + Send;

    /// A round failed; the error has been logged and connections are dropped. Lets a program record the failure.
    fn failed(&mut self, error: &Error) -> impl Future<Output = ()> + Send {
        let _error = error;
        async {}
    }

    /// Waits between idle rounds. A program with another way to learn about new work overrides it.
    fn idle(&mut self, signals: &Signals, delay: Duration) -> impl Future<Output = Wake> + Send {
        let signals = signals.clone();
        async move { signals.sleep(delay).await }
    }

    /// How long to wait after the given number of failures in a row.
    fn failure_delay(&self, exception_sleep: Duration, consecutive: u64) -> Duration {
        let _consecutive = consecutive;
        exception_sleep
    }

    /// The default of `loop_delay` in seconds; negative means a single round.
    fn default_loop_delay(&self) -> f64 {
        1.0
    }

    /// Runs once at the end, after a stop or the last round.
    fn shutdown(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// How long the shutdown of a job may take after SIGTERM.
const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// Timing keys of the loop.
struct Timing {
    /// Seconds; zero ends the loop when idle, negative means one round.
    loop_delay: f64,
    exception_sleep: Duration,
}

impl Timing {
    fn read(config: &Config, default_loop_delay: f64) -> Result<Self> {
        Ok(Timing {
            loop_delay: config.get_float("loop_delay", default_loop_delay)?,
            exception_sleep: config.get_duration("exception_sleep", 20.0)?,
        })
    }

    fn idle_delay(&self) -> Duration {
        Duration::try_from_secs_f64(self.loop_delay).unwrap_or(Duration::MAX)
    }
}

/// Runs the job until it is idle for good, the program is asked to stop, or it fails without being in a loop.
///
/// # Errors
/// Wrong timing keys, a failed start, a failed round when not looping, and [`ErrorKind::Usage`] from any round:
/// repeating cannot help there. In a loop other failures are logged and tried again.
pub async fn run_loop(name: &str, config: &mut Config, signals: &Signals, mut job: impl Job) -> Result<()> {
    let mut timing = Timing::read(config, job.default_loop_delay())?;
    let mut clock = FailureClock::new(config)?;
    let started = tokio::select! {
        started = job.startup(signals) => started,
        () = signals.terminated() => Ok(()),
    };
    if let Err(error) = started {
        job.reset().await;
        return Err(error);
    }
    let mut turn = Turn { stats: Stats::new(), signals: signals.clone(), looping: true };
    loop {
        if signals.take_reload() {
            reload(name, config, &mut job, &mut timing, &mut clock);
        }
        turn.looping = timing.loop_delay >= 0.0 && !signals.stop_requested();
        if signals.terminate_requested() {
            break;
        }
        let outcome = tokio::select! {
            biased;
            () = signals.terminated() => {
                turn.stats.emit();
                break;
            }
            outcome = job.work(&mut turn) => outcome,
        };
        turn.stats.emit();
        let single = timing.loop_delay < 0.0;
        match outcome {
            Ok(work) => {
                clock.succeeded(Instant::now());
                if single || signals.stop_requested() {
                    break;
                }
                if work == Work::Idle {
                    if timing.loop_delay <= 0.0 || job.idle(signals, timing.idle_delay()).await == Wake::Stop
                    {
                        break;
                    }
                } else {
                    // A job that never waits must not starve the signal task of its thread.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                let quiet = clock.failed(&error, Instant::now());
                job.reset().await;
                let again = timing.loop_delay > 0.0 && error.kind() != ErrorKind::Usage;
                if !again {
                    job.failed(&error).await;
                    job.reset().await;
                    return Err(error);
                }
                log_failure(name, &error, quiet);
                tokio::select! {
                    () = signals.terminated() => {}
                    () = job.failed(&error) => {}
                }
                // The hook may have connected to record the failure.
                job.reset().await;
                let delay = job.failure_delay(timing.exception_sleep, clock.consecutive);
                if signals.sleep(delay).await == Wake::Stop {
                    break;
                }
            }
        }
    }
    let ended = if signals.terminate_requested() {
        let ended = tokio::time::timeout(TERMINATE_GRACE, job.shutdown()).await;
        ended.unwrap_or_else(|_| {
            tracing::warn!("job {name}: shutdown takes too long, ending without it");
            Ok(())
        })
    } else {
        job.shutdown().await
    };
    job.reset().await;
    ended
}

fn reload(
    name: &str,
    config: &mut Config,
    job: &mut impl Job,
    timing: &mut Timing,
    clock: &mut FailureClock,
) {
    tracing::info!("config reload");
    let outcome = config.reload().and_then(|()| {
        let new = Timing::read(config, job.default_loop_delay())?;
        clock.reload(config)?;
        job.reload(config)?;
        *timing = new;
        Ok(())
    });
    if let Err(error) = outcome {
        let hint = error.hint_text().unwrap_or("Correct the file and reload again.");
        tracing::error!(hint, "job {name}: reload failed, going on with the old settings: {}", error.chain());
    }
}

fn log_failure(name: &str, error: &Error, quiet: bool) {
    let text = error.chain();
    match (quiet, error.hint_text()) {
        (true, _) => tracing::warn!("job {name}: {text}"),
        (false, None) => tracing::error!("job {name} failed: {text}"),
        (false, Some(hint)) => tracing::error!(hint, "job {name} failed: {text}"),
    }
}
