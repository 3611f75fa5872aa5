//! One typed call per batch function of schema `pgq`.

use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use super::BatchLimits;
use crate::sql;
use crate::time::Time;

/// An open batch, as `pgq.next_batch_custom` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchInfo {
    /// Number of the batch; unique over all queues and consumers of the database.
    pub batch_id: i64,
    /// Tick that ends the batch.
    pub tick_id: i64,
    /// Tick that the consumer had completed before.
    pub prev_tick_id: i64,
    /// When the ending tick was made.
    pub tick_time: Time,
    /// When the previous tick was made.
    pub prev_tick_time: Time,
    /// Event sequence at the ending tick. Only a hint of size: gaps, retries and late transactions make it
    /// wrong in both directions, so it never says whether a batch is empty. NULL in old 2.x data.
    pub event_seq: Option<i64>,
    /// Event sequence at the previous tick.
    pub prev_event_seq: Option<i64>,
}

/// What `pgq.get_batch_info` knows about an open batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchDetails {
    /// Queue of the batch.
    pub queue: String,
    /// Consumer that has it open.
    pub consumer: String,
    /// Time of the previous tick.
    pub start: Time,
    /// Time of the ending tick.
    pub end: Time,
    /// The previous tick.
    pub prev_tick_id: i64,
    /// The ending tick.
    pub tick_id: i64,
    /// Seconds between the ending tick and now.
    pub lag: f64,
    /// Event sequence at the previous tick; a hint only.
    pub seq_start: Option<i64>,
    /// Event sequence at the ending tick; a hint only.
    pub seq_end: Option<i64>,
}

/// Opens the next batch, or hands out again the one that is open. `None`: nothing yet.
///
/// Two processes must not call this for one consumer at the same time: the function does not lock.
///
/// # Errors
/// [`skytools::ErrorKind::NotFound`] when the queue does not exist or the consumer is not registered on it;
/// [`skytools::ErrorKind::State`] when the consumer's tick is gone or it is a cooperative sub-consumer; whatever the
/// server reports, such as an interval it cannot read.
pub async fn next_batch<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    limits: &BatchLimits,
) -> Result<Option<BatchInfo>> {
    let min_lag = limits.min_lag.as_ref().map(super::Interval::as_str);
    let min_interval = limits.min_interval.as_ref().map(super::Interval::as_str);
    let row = client
        .query_typed_one(
            sql::NEXT_BATCH,
            &[
                (&queue, Type::TEXT),
                (&consumer, Type::TEXT),
                (&min_lag, Type::TEXT),
                (&limits.min_count, Type::INT4),
                (&min_interval, Type::TEXT),
            ],
        )
        .await
        .map_err(|e| next_batch_error(e.into(), queue, consumer))?;
    opened(&row)
}

/// As [`next_batch`], joining all ticks there are into one batch: a consumer that is behind catches up in few large
/// steps. With more than `most` events waiting, the batch ends at the first tick that has so many, or at the last one if
/// that does not have twice as many.
///
/// # Errors
/// As [`next_batch`].
pub async fn next_backlog<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    most: i32,
) -> Result<Option<BatchInfo>> {
    let row = client
        .query_typed_opt(
            sql::NEXT_BACKLOG,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&most, Type::INT4)],
        )
        .await
        .map_err(|e| next_batch_error(e.into(), queue, consumer))?;
    match row {
        Some(row) => opened(&row),
        // Not registered, which the other function says.
        None => next_batch(client, queue, consumer, &BatchLimits::default()).await,
    }
}

fn opened(row: &Row) -> Result<Option<BatchInfo>> {
    let Some(batch_id) = row.try_get(0)? else { return Ok(None) };
    Ok(Some(BatchInfo {
        batch_id,
        tick_id: row.try_get(1)?,
        prev_tick_id: row.try_get(2)?,
        tick_time: row.try_get(3)?,
        prev_tick_time: row.try_get(4)?,
        event_seq: row.try_get(5)?,
        prev_event_seq: row.try_get(6)?,
    }))
}

/// The function raises plain exceptions; their texts are part of its interface.
fn next_batch_error(error: Error, queue: &str, consumer: &str) -> Error {
    let doing = format!("next batch of queue \"{queue}\" for consumer \"{consumer}\"");
    let text = error.to_string();
    if text.starts_with("Not subscriber to queue") {
        return Error::not_found(format!("{doing}: the consumer is not registered on this queue"))
            .hint("register it first: `register_consumer`, or the program's --register")
            .with_source(error);
    }
    if text.starts_with("PgQ corruption") {
        return Error::state(format!("{doing}: the consumer's last tick does not exist"))
            .hint("a cooperative sub-consumer must use pgq_coop.next_batch; otherwise move the consumer with register_consumer_at")
            .with_source(error);
    }
    error.context(doing)
}

/// Closes a batch: its events will not be handed out again.
///
/// # Errors
/// [`skytools::ErrorKind::State`] when the batch is not open: it was finished already, or the consumer was moved or
/// unregistered meanwhile. Work done in the same transaction must then be rolled back.
pub async fn finish_batch<C: GenericClient + Sync>(client: &C, batch_id: i64) -> Result<()> {
    let row = client
        .query_typed_one(sql::FINISH_BATCH, &[(&batch_id, Type::INT8)])
        .await
        .map_err(|e| Error::from(e).context(format!("finishing batch {batch_id}")))?;
    let finished: Option<i32> = row.try_get(0)?;
    if finished == Some(1) {
        return Ok(());
    }
    Err(Error::state(format!("batch {batch_id} is not open, so it cannot be finished"))
        .hint("another process runs under the same consumer name, or the consumer was moved or unregistered meanwhile"))
}

/// Puts one event of an open batch back into the queue for this consumer alone, to come again after `seconds`.
/// Returns false when it is waiting already.
///
/// The server looks through the whole batch for the event on each call; to put back a whole batch use
/// [`batch_retry`].
///
/// # Errors
/// [`skytools::ErrorKind::NotFound`] when the event is not in the batch.
pub async fn event_retry<C: GenericClient + Sync>(
    client: &C,
    batch_id: i64,
    event_id: i64,
    seconds: i32,
) -> Result<bool> {
    let row = client
        .query_typed_one(
            sql::EVENT_RETRY,
            &[(&batch_id, Type::INT8), (&event_id, Type::INT8), (&seconds, Type::INT4)],
        )
        .await
        .map_err(|e| {
            let error = Error::from(e);
            let doing = format!("putting back event {event_id} of batch {batch_id}");
            match error.to_string().as_str() {
                "event not found" => {
                    Error::not_found(format!("{doing}: it is not in that batch")).with_source(error)
                }
                _ => error.context(doing),
            }
        })?;
    Ok(row.try_get::<_, i32>(0)? == 1)
}

/// Puts every event of an open batch back that is not waiting already; returns how many.
///
/// # Errors
/// When the batch is not open.
pub async fn batch_retry<C: GenericClient + Sync>(client: &C, batch_id: i64, seconds: i32) -> Result<i32> {
    let row = client
        .query_typed_one(sql::BATCH_RETRY, &[(&batch_id, Type::INT8), (&seconds, Type::INT4)])
        .await
        .map_err(|e| Error::from(e).context(format!("putting back batch {batch_id}")))?;
    Ok(row.try_get(0)?)
}

/// Facts about an open batch, or `None` when there is no such batch.
///
/// # Errors
/// Whatever the server reports.
pub async fn batch_info<C: GenericClient + Sync>(client: &C, batch_id: i64) -> Result<Option<BatchDetails>> {
    let row = client
        .query_typed_opt(sql::BATCH_INFO, &[(&batch_id, Type::INT8)])
        .await
        .map_err(|e| Error::from(e).context(format!("facts about batch {batch_id}")))?;
    let Some(row) = row else { return Ok(None) };
    let Some(queue) = row.try_get(0)? else { return Ok(None) };
    Ok(Some(BatchDetails {
        queue,
        consumer: row.try_get(1)?,
        start: row.try_get(2)?,
        end: row.try_get(3)?,
        prev_tick_id: row.try_get(4)?,
        tick_id: row.try_get(5)?,
        lag: row.try_get(6)?,
        seq_start: row.try_get(7)?,
        seq_end: row.try_get(8)?,
    }))
}
