//! The connections of a consumer, and one batch at a time.

use std::time::Instant;

use futures_util::future::BoxFuture;
use skytools::db::{ConnectString, Connection};
use skytools::{Error, Result};
use tokio_postgres::{GenericClient, Transaction};

use super::batch::Remains;
use super::tracking::Tracked;
use super::{Batch, BatchStats, CallbackError, CallbackResult, Consumer, Position};
use crate::batch::{self, BatchInfo};
use crate::sql;
use crate::tick::OnDemand;

/// Connections of one consumer, for callers that drive batches themselves; the loops of [`Consumer`] are built
/// on it. After any error call [`Session::reset`]: a batch half read leaves a connection busy.
///
/// ```no_run
/// # async fn demo(consumer: pgq::consumer::Consumer) -> skytools::Result<()> {
/// let mut session = consumer.session();
/// while let Some(info) = session.next_batch().await? {
///     let mut batch = session.read(info).await?;
///     while let Some(event) = batch.next_event().await? {
///         println!("{}", event.id());
///     }
///     session.finish(batch).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session {
    consumer: Consumer,
    /// Opens batches and reads their events.
    reader: Option<Connection>,
    /// Carries the callback's transaction. It must not be the reader: that one is busy while events stream.
    worker: Option<Connection>,
    /// Whether the reader gets ticks on demand, once that was asked.
    demand: Option<OnDemand>,
    /// Up to this tick there is nothing left.
    nothing_until: Option<i64>,
}

impl Session {
    pub(super) fn new(consumer: Consumer) -> Self {
        Session { consumer, reader: None, worker: None, demand: None, nothing_until: None }
    }

    /// Opens the next batch, or takes up the open one. `None`: nothing yet.
    ///
    /// # Errors
    /// As [`next_batch`](batch::next_batch); no connection.
    pub fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<BatchInfo>>> {
        Box::pin(async move {
            let Consumer { connect, queue, name, limits, .. } = &self.consumer;
            let reader = open(&mut self.reader, connect, name).await?;
            batch::next_batch(&**reader, queue, name, limits).await
        })
    }

    /// As [`Session::next_batch`], for a consumer that has found nothing and has waited: when events wait, a tick is
    /// made for it ([`Consumer::tick_on_demand`]).
    ///
    /// # Errors
    /// As [`next_batch`](batch::next_batch); no connection.
    pub fn awaited_batch(&mut self) -> BoxFuture<'_, Result<Option<BatchInfo>>> {
        Box::pin(async move {
            let Consumer { connect, queue, name, .. } = &self.consumer;
            let known = self.reader.as_ref().is_some_and(|c| !c.is_closed());
            let reader = open(&mut self.reader, connect, name).await?;
            let demand = match self.demand {
                Some(demand) if known => demand,
                _ if self.consumer.demands_ticks() => OnDemand::of(&**reader).await?,
                _ => OnDemand::NEVER,
            };
            self.demand = Some(demand);
            let newest = demand.look(&**reader, queue).await?;
            if newest.is_some() && newest == self.nothing_until {
                return Ok(None);
            }
            let batch = self.next_batch().await?;
            self.nothing_until = if batch.is_none() { newest } else { None };
            Ok(batch)
        })
    }

    /// Whether looking for events costs little here.
    pub(super) fn looks_cheaply(&self) -> bool {
        self.demand.map_or_else(|| self.consumer.demands_ticks(), OnDemand::is_possible)
    }

    /// Begins to read the events of the batch that [`Session::next_batch`] opened.
    ///
    /// # Errors
    /// As [`events`](batch::events).
    pub fn read(&mut self, info: BatchInfo) -> BoxFuture<'_, Result<Batch>> {
        Box::pin(async move {
            let started = Instant::now();
            let Consumer { connect, name, filter, .. } = &self.consumer;
            let reader = open(&mut self.reader, connect, name).await?;
            let events = batch::events(&**reader, info.batch_id, filter.as_deref()).await?;
            Ok(Batch::new(info, events, started))
        })
    }

    /// Finishes a batch after its work is done: at-least-once. Events to be retried go back in the same
    /// transaction.
    ///
    /// # Errors
    /// As [`finish_batch`](batch::finish_batch) and [`event_retry`](batch::event_retry).
    pub fn finish(&mut self, batch: Batch) -> BoxFuture<'_, Result<BatchStats>> {
        Box::pin(async move {
            let remains = batch.into_remains();
            let Consumer { connect, name, .. } = &self.consumer;
            let reader = open(&mut self.reader, connect, name).await?;
            let retried = if remains.wants_retry() {
                let tx = reader.transaction().await?;
                let retried = put_back(&tx, &remains).await?;
                batch::finish_batch(&tx, remains.info.batch_id).await?;
                tx.commit().await?;
                retried
            } else {
                batch::finish_batch(&**reader, remains.info.batch_id).await?;
                0
            };
            Ok(self.done(&remains, retried, false))
        })
    }

    /// Finishes a batch if its callback succeeded.
    pub(super) async fn finish_after(&mut self, batch: Batch, outcome: CallbackResult) -> Result<BatchStats> {
        match outcome {
            Ok(()) => self.finish(batch).await,
            Err(error) => Err(callback_error(&self.consumer, batch.info(), error)),
        }
    }

    /// Runs one batch inside a transaction of the queue's database that also finishes it.
    pub(super) async fn in_transaction<F>(&mut self, info: BatchInfo, callback: &mut F) -> Result<BatchStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        let mut batch = self.read(info).await?;
        let worker = open(&mut self.worker, &self.consumer.connect, &self.consumer.name).await?;
        let mut tx = worker.transaction().await?;
        callback(&mut batch, &mut tx).await.map_err(|e| callback_error(&self.consumer, batch.info(), e))?;
        let remains = batch.into_remains();
        let retried = put_back(&tx, &remains).await?;
        batch::finish_batch(&tx, remains.info.batch_id).await?;
        tx.commit().await?;
        Ok(self.done(&remains, retried, false))
    }

    /// Runs one batch inside a transaction of another database that remembers its tick.
    pub(super) async fn tracked_in<F>(
        &mut self,
        target: &ConnectString,
        info: BatchInfo,
        callback: &mut F,
    ) -> Result<BatchStats>
    where
        F: AsyncFnMut(&mut Batch, &mut Transaction<'_>) -> CallbackResult,
    {
        let started = Instant::now();
        let worker = open(&mut self.worker, target, &self.consumer.name).await?;
        let mut tx = worker.transaction().await?;
        let tracked = Tracked::new(&self.consumer.queue, &self.consumer.name);
        let (remains, skipped) = if tracked.check(&tx, &info).await? == Position::Done {
            tx.rollback().await?;
            (Remains { info, retries: Vec::new(), retry_whole: None, events: 0, started }, true)
        } else {
            // Not self.read(): the transaction borrows the other connection of the session.
            let Consumer { connect, name, filter, .. } = &self.consumer;
            let reader = open(&mut self.reader, connect, name).await?;
            let events = batch::events(&**reader, info.batch_id, filter.as_deref()).await?;
            let mut batch = Batch::new(info, events, started);
            callback(&mut batch, &mut tx)
                .await
                .map_err(|e| callback_error(&self.consumer, batch.info(), e))?;
            let remains = batch.into_remains();
            remains.refuse_retry()?;
            tracked.store(&tx, &remains.info).await?;
            tx.commit().await?;
            (remains, false)
        };
        let reader = open(&mut self.reader, &self.consumer.connect, &self.consumer.name).await?;
        batch::finish_batch(&**reader, remains.info.batch_id).await?;
        Ok(self.done(&remains, 0, skipped))
    }

    /// Drops the connections; what was not committed is rolled back, an open batch stays open.
    pub fn reset(&mut self) {
        self.reader = None;
        self.worker = None;
        self.demand = None;
        self.nothing_until = None;
    }

    /// The consumer this session works for.
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    fn done(&self, remains: &Remains, retried: u64, skipped: bool) -> BatchStats {
        let stats = BatchStats {
            batch_id: remains.info.batch_id,
            tick_id: remains.info.tick_id,
            tick_time: remains.info.tick_time,
            events: remains.events,
            retried,
            duration: remains.started.elapsed(),
            skipped,
        };
        self.consumer.stats.finished(&stats);
        stats
    }
}

/// The connection in `slot`, a new one when there is none or it was lost.
async fn open<'s>(
    slot: &'s mut Option<Connection>,
    connect: &ConnectString,
    name: &str,
) -> Result<&'s mut Connection> {
    if slot.as_ref().is_some_and(|c| c.is_closed()) {
        *slot = None;
    }
    match slot {
        Some(connection) => Ok(connection),
        None => {
            let connection = connect.connect(name).await?;
            connection.query_typed(sql::DURABLE, &[]).await?;
            Ok(slot.insert(connection))
        }
    }
}

async fn put_back<C: GenericClient + Sync>(client: &C, remains: &Remains) -> Result<u64> {
    let batch_id = remains.info.batch_id;
    let mut retried = 0;
    for &(event_id, seconds) in &remains.retries {
        retried += u64::from(batch::event_retry(client, batch_id, event_id, seconds).await?);
    }
    if let Some(seconds) = remains.retry_whole {
        let rest = batch::batch_retry(client, batch_id, seconds).await?;
        retried += u64::try_from(rest).unwrap_or_default();
    }
    Ok(retried)
}

/// Keeps the kind of errors of this suite and of the driver, so that a lost connection in a callback is retried.
fn callback_error(consumer: &Consumer, info: &BatchInfo, error: CallbackError) -> Error {
    let doing = format!(
        "consumer \"{}\" of queue \"{}\", batch {} (ticks {} to {})",
        consumer.name, consumer.queue, info.batch_id, info.prev_tick_id, info.tick_id
    );
    match error.0.downcast::<Error>() {
        Ok(own) => own.context(doing),
        Err(error) => match error.downcast::<tokio_postgres::Error>() {
            Ok(driver) => Error::from(*driver).context(doing),
            Err(other) => Error::data(format!("{doing}: the callback failed")).with_source(other),
        },
    }
}
