//! The loops: batch after batch, until told to stop.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use skytools::db::ConnectString;
use skytools::{Error, Result};
use tokio_postgres::Transaction;

use super::pace::Pace;
use super::{Batch, BatchStats, CallbackResult, Consumer, ConsumerStats, Handler, Outcome, Session};
use crate::Event;
use crate::batch::BatchInfo;

/// How one batch is worked on: the guarantee and the callback.
trait Step {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats>;
}

struct AtLeastOnce<F>(F);

impl<F: AsyncFnMut(&mut Batch) -> CallbackResult> Step for AtLeastOnce<F> {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats> {
        let mut batch = session.read(info).await?;
        let outcome = (self.0)(&mut batch).await;
        session.finish_after(batch, outcome).await
    }
}

struct EachEvent<F>(F);

impl<F: AsyncFnMut(&Event) -> CallbackResult<Outcome>> Step for EachEvent<F> {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats> {
        let mut batch = session.read(info).await?;
        while let Some(event) = batch.next_event().await? {
            match (self.0)(&event).await {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Retry(after)) => batch.retry(&event, after),
                Err(error) => return session.finish_after(batch, Err(error)).await,
            }
        }
        session.finish(batch).await
    }
}

struct InTransaction<F>(F);

impl<F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult> Step for InTransaction<F> {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats> {
        session.in_transaction(info, &mut self.0).await
    }
}

struct ToTarget<F>(ConnectString, F);

impl<F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult> Step for ToTarget<F> {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats> {
        session.tracked_in(&self.0, info, &mut self.1).await
    }
}

struct Handled<H>(H);

impl<H: Handler> Step for Handled<H> {
    async fn run(&mut self, session: &mut Session, info: BatchInfo) -> Result<BatchStats> {
        let mut batch = session.read(info).await?;
        let outcome = self.0.batch(&mut batch).await;
        session.finish_after(batch, outcome).await
    }
}

impl Consumer {
    /// Gives each batch to `handler`, at least once, until `shutdown` resolves; returns the totals.
    ///
    /// As [`Consumer::for_each_batch`], for tasks of their own: the future is always [`Send`]. With the loops that
    /// take closures the compiler can prove that only when the closure borrows nothing from its captures.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`].
    pub fn run<H, S>(
        &self,
        shutdown: S,
        handler: H,
    ) -> impl Future<Output = Result<ConsumerStats>> + Send + use<H, S>
    where
        H: Handler,
        S: Future<Output = ()> + Send,
    {
        self.clone().drive(shutdown, Handled(handler))
    }

    /// Calls `callback` with each batch, at least once, until `shutdown` resolves; returns the totals.
    ///
    /// The batch is finished when the callback returns `Ok`.
    ///
    /// # Errors
    /// What the module's section on errors says.
    pub async fn for_each_batch<F>(
        &self,
        shutdown: impl Future<Output = ()>,
        callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch) -> CallbackResult,
    {
        self.clone().drive(shutdown, AtLeastOnce(callback)).await
    }

    /// Calls `callback` with each event, at least once, until `shutdown` resolves; returns the totals.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`].
    pub async fn for_each_event<F>(
        &self,
        shutdown: impl Future<Output = ()>,
        callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&Event) -> CallbackResult<Outcome>,
    {
        self.clone().drive(shutdown, EachEvent(callback)).await
    }

    /// Calls `callback` with each batch and a transaction on the queue's database, until `shutdown` resolves.
    /// What the callback writes in the transaction happens exactly once: the batch is finished by its commit.
    ///
    /// Needs two connections: events stream on one while the other works.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`].
    pub async fn for_each_batch_in_transaction<F>(
        &self,
        shutdown: impl Future<Output = ()>,
        callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        self.clone().drive(shutdown, InTransaction(callback)).await
    }

    /// Calls `callback` with each batch and a transaction on the database `target`, until `shutdown` resolves.
    /// What the callback writes in the transaction happens exactly once: schema `pgq_ext` of the target
    /// remembers the tick in it (`pgq_ext.set_last_tick`), under the names of the queue and the consumer. Events cannot be put back here.
    ///
    /// Register with [`Consumer::register_for`], which has the target forget a former consumer of these names.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`]; [`Data`](skytools::ErrorKind::Data) when the target's tick is neither
    /// before nor after the batch, or is another source's.
    pub async fn for_each_batch_to<F>(
        &self,
        target: &ConnectString,
        shutdown: impl Future<Output = ()>,
        callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        self.clone().drive(shutdown, ToTarget(target.clone(), callback)).await
    }

    async fn drive<S>(self, shutdown: impl Future<Output = ()>, mut step: S) -> Result<ConsumerStats>
    where
        S: Step,
    {
        let mut shutdown = pin!(shutdown);
        let mut session = self.session();
        let mut pause = self.backoff.0;
        let mut pace = Pace::default();
        let mut waited = false;
        loop {
            // What is there already is taken first; and a consumer that is busy needs no more ticks than there are.
            let next = if waited { session.awaited_batch() } else { session.next_batch() };
            // Asking for a batch may be abandoned anywhere: at worst it is open and will be handed out again.
            let next = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(self.stats()),
                next = next => next,
            };
            waited = false;
            let outcome = match next {
                Ok(None) => Ok(None),
                Ok(Some(info)) => step.run(&mut session, info).await.map(Some),
                Err(error) => Err(error),
            };
            let wait = match outcome {
                Ok(Some(done)) => {
                    pause = self.backoff.0;
                    pace.finished(done.events);
                    tracing::debug!(
                        batch = done.batch_id,
                        tick = done.tick_id,
                        events = done.events,
                        "batch finished"
                    );
                    Duration::ZERO
                }
                Ok(None) if self.until_idle => return Ok(self.stats()),
                Ok(None) => {
                    waited = true;
                    pace.wait(self.poll_interval, session.looks_cheaply())
                }
                Err(error) => {
                    // Half-read batches and half-done transactions end with their connections.
                    session.reset();
                    self.failed(error, pause)?;
                    let wait = pause;
                    pause = pause.saturating_mul(2).min(self.backoff.1);
                    wait
                }
            };
            if !wait.is_zero() {
                tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(self.stats()),
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }

    /// Swallows an error that is worth another try, after saying so.
    fn failed(&self, error: Error, pause: Duration) -> Result<()> {
        if !self.retry_all && !error.is_retryable() {
            return Err(error);
        }
        self.stats.failed();
        tracing::warn!(
            queue = self.queue,
            consumer = self.name,
            error = error.chain(),
            "batch failed, trying again in {:.1} s",
            pause.as_secs_f64()
        );
        Ok(())
    }
}
