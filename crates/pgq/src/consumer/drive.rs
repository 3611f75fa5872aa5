//! The loops: batch after batch, until told to stop.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use skytools::db::ConnectString;
use skytools::{Error, Result};
use tokio_postgres::Transaction;

use super::{Batch, BatchStats, CallbackResult, Consumer, ConsumerStats, Outcome, Session};
use crate::Event;
use crate::batch::BatchInfo;

impl Consumer {
    /// Calls `callback` with each batch, at least once, until `shutdown` resolves; returns the totals.
    ///
    /// The batch is finished when the callback returns `Ok`.
    ///
    /// # Errors
    /// What the module's section on errors says.
    pub async fn for_each_batch<F>(
        &self,
        shutdown: impl Future<Output = ()>,
        mut callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch) -> CallbackResult,
    {
        let step = async |session: &mut Session, info| session.at_least_once(info, &mut callback).await;
        self.drive(shutdown, step).await
    }

    /// Calls `callback` with each event, at least once, until `shutdown` resolves; returns the totals.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`].
    pub async fn for_each_event<F>(
        &self,
        shutdown: impl Future<Output = ()>,
        mut callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&Event) -> CallbackResult<Outcome>,
    {
        let events = async |batch: &mut Batch| {
            while let Some(event) = batch.next_event().await? {
                if let Outcome::Retry(after) = callback(&event).await? {
                    batch.retry(&event, after);
                }
            }
            Ok(())
        };
        self.for_each_batch(shutdown, events).await
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
        mut callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        let step = async |session: &mut Session, info| session.in_transaction(info, &mut callback).await;
        self.drive(shutdown, step).await
    }

    /// Calls `callback` with each batch and a transaction on the database `target`, until `shutdown` resolves.
    /// What the callback writes in the transaction happens exactly once: schema `pgq_ext` of the target
    /// remembers the tick in it (`pgq_ext.set_last_tick`). Events cannot be put back here.
    ///
    /// # Errors
    /// As [`Consumer::for_each_batch`]; [`Data`](skytools::ErrorKind::Data) when the target's tick is neither
    /// before nor after the batch.
    pub async fn for_each_batch_to<F>(
        &self,
        target: &ConnectString,
        shutdown: impl Future<Output = ()>,
        mut callback: F,
    ) -> Result<ConsumerStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        let step = async |session: &mut Session, info| session.tracked_in(target, info, &mut callback).await;
        self.drive(shutdown, step).await
    }

    async fn drive<S>(&self, shutdown: impl Future<Output = ()>, mut step: S) -> Result<ConsumerStats>
    where
        S: AsyncFnMut(&mut Session, BatchInfo) -> Result<BatchStats>,
    {
        let mut shutdown = pin!(shutdown);
        let mut session = self.session();
        let mut pause = self.backoff.0;
        loop {
            // Asking for a batch may be abandoned anywhere: at worst it is open and will be handed out again.
            let next = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(self.stats()),
                next = session.next() => next,
            };
            let outcome = match next {
                Ok(None) => Ok(None),
                Ok(Some(info)) => step(&mut session, info).await.map(Some),
                Err(error) => Err(error),
            };
            let wait = match outcome {
                Ok(Some(done)) => {
                    pause = self.backoff.0;
                    tracing::debug!(
                        batch = done.batch_id,
                        tick = done.tick_id,
                        events = done.events,
                        "batch finished"
                    );
                    Duration::ZERO
                }
                Ok(None) if self.until_idle => return Ok(self.stats()),
                Ok(None) => self.poll_interval,
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
