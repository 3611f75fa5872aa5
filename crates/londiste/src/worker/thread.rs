//! The thread of the worker.

use std::convert::Infallible;
use std::process::ExitCode;

use skytools::config::Config;
use skytools::service::{Signals, run_loop};
use skytools::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Worker;

/// Runs the worker until it is asked to stop.
///
/// # Errors
/// A missing key; a failure when `loop_delay` says that there is only one round.
pub async fn run(mut config: Config, signals: Signals) -> Result<ExitCode> {
    let worker = Worker::new(&config, Handle::current())?;
    let name = config.job_name();
    // A thread of its own for the worker and its connections: what one of them has read is then looked at by the same
    // thread at once. Between the threads of one runtime every few kilobytes wake another one.
    let (waits, gone) = oneshot::channel::<Infallible>();
    let (tell, ended) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            let outcome = on_this_thread(async {
                tokio::select! {
                    outcome = run_loop(&name, &mut config, &signals, worker) => outcome,
                    // A worker that nobody waits for any more must not go on.
                    _ = gone => Ok(()),
                }
            });
            tell.send(outcome).ok();
        })
        .map_err(|e| Error::new(ErrorKind::System, "cannot start the worker's thread").with_source(e))?;
    let mut thread = WorkerThread { waits: Some(waits), thread: Some(thread) };
    match ended.await {
        Ok(outcome) => outcome.map(|()| ExitCode::SUCCESS),
        // Its end of the channel is gone, so it is ending.
        Err(_) => match thread.end() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err(Error::new(ErrorKind::Internal, "the worker ended without a word")),
        },
    }
}

/// The worker's thread, for whoever waits for it. Whoever stops waiting finds it gone afterwards: nothing it was doing goes on.
struct WorkerThread {
    waits: Option<oneshot::Sender<Infallible>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl WorkerThread {
    /// Ends the thread; the error is its panic.
    fn end(&mut self) -> std::thread::Result<()> {
        self.waits = None;
        self.thread.take().map_or(Ok(()), std::thread::JoinHandle::join)
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        // Who is interested in a panic has asked for it.
        self.end().ok();
    }
}

/// Runs the future, and the tasks that it spawns, on this thread.
fn on_this_thread(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::System, "cannot start the worker's runtime").with_source(e))?;
    let outcome = runtime.block_on(async {
        let outcome = work.await;
        // Connections that have been dropped say good-bye.
        tokio::task::yield_now().await;
        outcome
    });
    // A blocking call that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}
