//! Queues and their consumers: create, configure, look at, register.

use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use crate::Time;
use crate::batch::Interval;
use crate::sql;

/// A parameter that `pgq.set_queue_config` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueParam {
    /// Tick after this many events.
    TickerMaxCount(i32),
    /// Tick after this much time when there are events.
    TickerMaxLag(Interval),
    /// Tick after this much time when there are none.
    TickerIdlePeriod(Interval),
    /// Make no ticks.
    TickerPaused(bool),
    /// Rotate the event tables this often.
    RotationPeriod(Interval),
    /// Ticks come from elsewhere (a cascade).
    ExternalTicker(bool),
}

impl QueueParam {
    fn name_and_value(&self) -> (&'static str, String) {
        match self {
            QueueParam::TickerMaxCount(n) => ("ticker_max_count", n.to_string()),
            QueueParam::TickerMaxLag(i) => ("ticker_max_lag", i.as_str().to_owned()),
            QueueParam::TickerIdlePeriod(i) => ("ticker_idle_period", i.as_str().to_owned()),
            QueueParam::TickerPaused(b) => ("ticker_paused", b.to_string()),
            QueueParam::RotationPeriod(i) => ("rotation_period", i.as_str().to_owned()),
            QueueParam::ExternalTicker(b) => ("external_ticker", b.to_string()),
        }
    }
}

/// One row of `pgq.get_queue_info`. Intervals are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueInfo {
    /// Name of the queue.
    pub name: String,
    /// Number of event tables that are rotated.
    pub ntables: i32,
    /// The table that is written now, counted from 0.
    pub cur_table: i32,
    /// Seconds between rotations.
    pub rotation_period: f64,
    /// When the tables were rotated last.
    pub switch_time: Time,
    /// Whether ticks come from elsewhere.
    pub external_ticker: bool,
    /// Whether the ticker is paused.
    pub ticker_paused: bool,
    /// Tick after this many events.
    pub ticker_max_count: i32,
    /// Tick after this many seconds when there are events.
    pub ticker_max_lag: f64,
    /// Tick after this many seconds when there are none.
    pub ticker_idle_period: f64,
    /// Seconds since the last tick.
    pub ticker_lag: Option<f64>,
    /// Events per second over the last ticks; `None` when no time has passed.
    pub events_per_second: Option<f64>,
    /// Events since the last tick; a hint, sequences have gaps.
    pub new_events: Option<i64>,
    /// The newest tick.
    pub last_tick_id: Option<i64>,
}

/// One row of `pgq.get_consumer_info`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerInfo {
    /// Name of the queue.
    pub queue: String,
    /// Name of the consumer.
    pub consumer: String,
    /// Seconds between the consumer's tick and now.
    pub lag: Option<f64>,
    /// Seconds since the consumer last opened or finished a batch.
    pub last_seen: Option<f64>,
    /// The tick it has completed.
    pub last_tick: Option<i64>,
    /// The batch it has open.
    pub current_batch: Option<i64>,
    /// The tick that ends the open batch.
    pub next_tick: Option<i64>,
    /// Events between its tick and the newest one; a hint, sequences have gaps.
    pub pending_events: Option<i64>,
}

/// Creates a queue. Returns false when it exists already.
///
/// # Errors
/// Whatever the server reports.
pub async fn create_queue<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<bool> {
    let row = client
        .query_typed_one(sql::CREATE_QUEUE, &[(&queue, Type::TEXT)])
        .await
        .map_err(|e| queue_error(e.into(), "creating", queue))?;
    Ok(row.try_get::<_, i32>(0)? == 1)
}

/// Drops a queue with its events. With `force`, its consumers are unregistered first.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound), or [`State`](skytools::ErrorKind::State) while it has consumers.
pub async fn drop_queue<C: GenericClient + Sync>(client: &C, queue: &str, force: bool) -> Result<()> {
    client
        .query_typed_one(sql::DROP_QUEUE, &[(&queue, Type::TEXT), (&force, Type::BOOL)])
        .await
        .map_err(|e| queue_error(e.into(), "dropping", queue))?;
    Ok(())
}

/// Sets one parameter of a queue.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue; an interval that the server cannot read.
pub async fn set_config<C: GenericClient + Sync>(client: &C, queue: &str, param: &QueueParam) -> Result<()> {
    let (name, value) = param.name_and_value();
    client
        .query_typed_one(
            sql::SET_QUEUE_CONFIG,
            &[(&queue, Type::TEXT), (&name, Type::TEXT), (&value, Type::TEXT)],
        )
        .await
        .map_err(|e| queue_error(e.into(), &format!("setting {name} of"), queue))?;
    Ok(())
}

/// Facts about all queues of the database, by name.
///
/// # Errors
/// Whatever the server reports.
pub async fn queues<C: GenericClient + Sync>(client: &C) -> Result<Vec<QueueInfo>> {
    let rows = client.query_typed(sql::QUEUE_INFO, &[(&None::<&str>, Type::TEXT)]).await?;
    rows.iter().map(queue_from_row).collect()
}

/// Facts about one queue, or `None` when it does not exist.
///
/// # Errors
/// Whatever the server reports.
pub async fn queue_info<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Option<QueueInfo>> {
    let row = client.query_typed_opt(sql::QUEUE_INFO, &[(&queue, Type::TEXT)]).await?;
    row.as_ref().map(queue_from_row).transpose()
}

/// Facts about consumers, by queue and name: of all queues (`None, None`), of one queue, or of one consumer.
///
/// # Errors
/// Whatever the server reports.
pub async fn consumers<C: GenericClient + Sync>(
    client: &C,
    queue: Option<&str>,
    consumer: Option<&str>,
) -> Result<Vec<ConsumerInfo>> {
    let rows =
        client.query_typed(sql::CONSUMER_INFO, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)]).await?;
    rows.iter().map(consumer_from_row).collect()
}

/// Facts about one consumer, or `None` when it is not registered on the queue.
///
/// # Errors
/// Whatever the server reports.
pub async fn consumer_info<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
) -> Result<Option<ConsumerInfo>> {
    Ok(consumers(client, Some(queue), Some(consumer)).await?.pop())
}

/// Registers a consumer at the newest tick: it will get the events that come from now on. Returns false, and
/// changes nothing, when it is registered already.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue.
pub async fn register_consumer<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
) -> Result<bool> {
    let row = client
        .query_typed_one(sql::REGISTER_CONSUMER, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await
        .map_err(|e| queue_error(e.into(), &format!("registering consumer \"{consumer}\" on"), queue))?;
    Ok(row.try_get::<_, i32>(0)? == 1)
}

/// Registers a consumer at a given tick. One that is registered already is **moved** there, its open batch is
/// dropped, and false is returned.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue or tick.
pub async fn register_consumer_at<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    tick_id: i64,
) -> Result<bool> {
    let row = client
        .query_typed_one(
            sql::REGISTER_CONSUMER_AT,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&tick_id, Type::INT8)],
        )
        .await
        .map_err(|e| queue_error(e.into(), &format!("registering consumer \"{consumer}\" on"), queue))?;
    Ok(row.try_get::<_, i32>(0)? == 1)
}

/// Removes a consumer, its open batch and its events that wait to come again. Returns how many registrations
/// went: 0 when there was none, more than 1 for a cooperative consumer with its sub-consumers.
///
/// # Errors
/// Whatever the server reports.
pub async fn unregister_consumer<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
) -> Result<i32> {
    let row = client
        .query_typed_one(sql::UNREGISTER_CONSUMER, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await
        .map_err(|e| queue_error(e.into(), &format!("unregistering consumer \"{consumer}\" from"), queue))?;
    Ok(row.try_get(0)?)
}

/// Makes a tick now if one is due and returns its number; pgqd does this several times a second. Never call it
/// in parallel for one queue: ticks would come out of order.
///
/// # Errors
/// For an unknown queue, one with an external ticker, and a paused one.
pub async fn ticker<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Option<i64>> {
    let row = client
        .query_typed_one(sql::TICKER, &[(&queue, Type::TEXT)])
        .await
        .map_err(|e| queue_error(e.into(), "ticking", queue))?;
    Ok(row.try_get(0)?)
}

/// Moves the event sequence so far that the next run of the ticker makes a tick, and returns the newest tick
/// there is now; the caller polls until it changes. Changes nothing on paused queues and external tickers.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue.
pub async fn force_tick<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<i64> {
    let row = client
        .query_typed_one(sql::FORCE_TICK, &[(&queue, Type::TEXT)])
        .await
        .map_err(|e| queue_error(e.into(), "forcing a tick on", queue))?;
    row.try_get::<_, Option<i64>>(0)?.ok_or_else(|| no_such_queue("forcing a tick on", queue))
}

fn no_such_queue(doing: &str, queue: &str) -> Error {
    Error::not_found(format!("{doing} queue \"{queue}\": there is no such queue")).hint(
        "`select * from pgq.get_queue_info()` lists the queues; `select pgq.create_queue('…')` creates one",
    )
}

/// The functions raise plain exceptions; their texts are part of their interface.
fn queue_error(error: Error, doing: &str, queue: &str) -> Error {
    let text = error.to_string();
    if text.starts_with("No such event queue")
        || text.starts_with("Event queue not created yet")
        || text.starts_with("no such queue")
    {
        return no_such_queue(doing, queue).with_source(error);
    }
    let message = format!("{doing} queue \"{queue}\"");
    if text.starts_with("cannot drop queue, consumers still attached") {
        return Error::state(format!("{message}: it still has consumers"))
            .hint("unregister them first, or drop with force")
            .with_source(error);
    }
    if text.starts_with("cannot reposition, tick not found") {
        return Error::not_found(format!("{message}: it has no such tick"))
            .hint(
                "ticks older than the last rotation are gone; register without a tick to start at the newest",
            )
            .with_source(error);
    }
    error.context(message)
}

fn queue_from_row(row: &Row) -> Result<QueueInfo> {
    Ok(QueueInfo {
        name: row.try_get(0)?,
        ntables: row.try_get(1)?,
        cur_table: row.try_get(2)?,
        rotation_period: row.try_get(3)?,
        switch_time: row.try_get(4)?,
        external_ticker: row.try_get(5)?,
        ticker_paused: row.try_get(6)?,
        ticker_max_count: row.try_get(7)?,
        ticker_max_lag: row.try_get(8)?,
        ticker_idle_period: row.try_get(9)?,
        ticker_lag: row.try_get(10)?,
        events_per_second: row.try_get(11)?,
        new_events: row.try_get(12)?,
        last_tick_id: row.try_get(13)?,
    })
}

fn consumer_from_row(row: &Row) -> Result<ConsumerInfo> {
    Ok(ConsumerInfo {
        queue: row.try_get(0)?,
        consumer: row.try_get(1)?,
        lag: row.try_get(2)?,
        last_seen: row.try_get(3)?,
        last_tick: row.try_get(4)?,
        current_batch: row.try_get(5)?,
        next_tick: row.try_get(6)?,
        pending_events: row.try_get(7)?,
    })
}
