//! A consumer as a program of the suite: configuration, `--register`, the service loop, statistics.

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use skytools::config::Config;
use skytools::service::{Job, Signals, Turn, Wake, Work, run_loop};
use skytools::{Error, Result};

use super::pace::Pace;
use super::{Batch, CallbackResult, Session, Settings};

/// Options that every consumer program has.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ConsumerArgs {
    /// Register the consumer on the queue, then exit.
    #[arg(long)]
    pub register: bool,
    /// Unregister the consumer from the queue, then exit.
    #[arg(long, conflicts_with = "register")]
    pub unregister: bool,
}

/// What a consumer program does with a batch. At-least-once: the batch is finished after `Ok`.
pub trait Handler: Send {
    /// Processes one batch. Dropped wherever it waits when the process is asked to terminate.
    fn batch(&mut self, batch: &mut Batch) -> impl Future<Output = CallbackResult> + Send;

    /// The configuration was read again.
    ///
    /// # Errors
    /// A value is not acceptable; the old settings stay.
    fn reload(&mut self, config: &Config) -> Result<()> {
        let _config = config;
        Ok(())
    }
}

/// A consumer in the service loop: one batch per round.
#[derive(Debug)]
pub struct ConsumerJob<H> {
    db_key: String,
    settings: Settings,
    session: Session,
    handler: H,
    pace: Pace,
    /// The last round found nothing, and some time has passed since.
    waited: bool,
    /// End of the last batch that had events, or the start.
    busy: Instant,
    /// When idleness was last reported.
    reported: Instant,
}

impl<H: Handler> ConsumerJob<H> {
    /// A job that reads its queue through the connect string in `db_key`.
    ///
    /// # Errors
    /// A missing or malformed key.
    pub fn new(config: &Config, db_key: &str, handler: H) -> Result<Self> {
        let settings = Settings::load(config, db_key)?;
        let session = settings.consumer().session();
        let now = Instant::now();
        Ok(ConsumerJob {
            db_key: db_key.to_owned(),
            settings,
            session,
            handler,
            pace: Pace::default(),
            waited: false,
            busy: now,
            reported: now,
        })
    }
}

impl<H: Handler> Job for ConsumerJob<H> {
    async fn work(&mut self, turn: &mut Turn) -> Result<Work> {
        // Only who goes on for ever has ticks made: who ends when idle would find ever more.
        let next = if self.waited && turn.looping {
            self.session.awaited_batch().await?
        } else {
            self.session.next_batch().await?
        };
        self.waited = false;
        let Some(info) = next else {
            if self.reported.elapsed() >= self.settings.keepalive {
                turn.stats.put("idle", self.busy.elapsed().as_secs_f64());
                self.reported = Instant::now();
            }
            return Ok(Work::Idle);
        };
        let mut batch = self.session.read(info).await?;
        let outcome = self.handler.batch(&mut batch).await;
        let done = self.session.finish_after(batch, outcome).await?;
        self.pace.finished(done.events);
        turn.stats.increase("count", i64::try_from(done.events).unwrap_or(i64::MAX));
        turn.stats.put("duration", done.duration.as_secs_f64());
        if done.retried > 0 {
            turn.stats.increase("retry-events", i64::try_from(done.retried).unwrap_or(i64::MAX));
        }
        if done.events > 0 {
            let began = Instant::now().checked_sub(done.duration).unwrap_or(self.busy);
            turn.stats.put("idle", began.saturating_duration_since(self.busy).as_secs_f64());
            self.busy = Instant::now();
            self.reported = self.busy;
        }
        Ok(Work::More)
    }

    fn reload(&mut self, config: &Config) -> Result<()> {
        let settings = Settings::load(config, &self.db_key)?;
        self.handler.reload(config)?;
        self.session = settings.consumer().session();
        self.settings = settings;
        Ok(())
    }

    async fn idle(&mut self, signals: &Signals, delay: Duration) -> Wake {
        self.waited = true;
        signals.sleep(self.pace.wait(delay, self.session.looks_cheaply())).await
    }

    async fn reset(&mut self) {
        self.session.reset();
        self.waited = false;
    }
}

/// The body of a consumer program, for [`skytools::program::run`].
///
/// # Errors
/// A missing key, a failed registration, and what the service loop returns.
pub async fn run<H: Handler>(
    mut config: Config,
    signals: Signals,
    args: ConsumerArgs,
    db_key: &str,
    handler: H,
) -> Result<ExitCode> {
    let settings = Settings::load(&config, db_key)?;
    let (queue, name) = (&settings.queue, &settings.consumer);
    if args.register {
        if settings.consumer().register().await? {
            tracing::info!("consumer {name} registered on queue {queue}");
        } else {
            tracing::info!("consumer {name} is registered on queue {queue} already");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.unregister {
        if !settings.consumer().unregister().await? {
            return Err(Error::not_found(format!(
                "consumer \"{name}\" is not registered on queue \"{queue}\""
            )));
        }
        tracing::info!("consumer {name} unregistered from queue {queue}");
        return Ok(ExitCode::SUCCESS);
    }
    let job = ConsumerJob::new(&config, db_key, handler)?;
    run_loop(&settings.consumer, &mut config, &signals, job).await?;
    Ok(ExitCode::SUCCESS)
}
