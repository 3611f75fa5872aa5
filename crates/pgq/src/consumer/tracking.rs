//! Where the target database says we are, against what the queue hands out.
//!
//! The target knows a consumer by its name and its queue's. Numbers of ticks begin at 1 in every queue, so that the number alone would
//! take another source's batch for one that is done: a queue that was made anew, or one of that name in another database. So
//! the time at which the tick was made is stored with it. That stays with the tick wherever it goes: to a standby that takes over,
//! to a server that the queue is restored or upgraded to, to other nodes of a cascade.
//!
//! Both are ticks of subconsumers in `pgq_ext`: `tick of <queue>`, and `time of <queue>` in microseconds since 1970. Without a subconsumer
//! the original's consumers, and earlier versions of this crate, store the tick of whatever queue. It is taken over when it fits.

use skytools::{Error, ErrorKind, Result, quote};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::Time;
use crate::batch::BatchInfo;
use crate::sql;

/// What the stored tick means for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The batch is next, or nothing was stored yet: process it.
    Next,
    /// The target has it already; a crash came between its commit and `finish_batch`.
    Done,
    /// Neither: the two databases do not belong together, or not any more.
    Lost,
}

/// Decides by the number of the last tick stored in the target, provided that it is this queue's.
///
/// ```
/// use pgq::consumer::{Position, position};
/// assert_eq!(position(None, 4, 5), Position::Next);
/// assert_eq!(position(Some(4), 4, 5), Position::Next);
/// assert_eq!(position(Some(5), 4, 5), Position::Done);
/// assert_eq!(position(Some(6), 4, 5), Position::Lost);
/// ```
pub fn position(stored: Option<i64>, prev_tick: i64, tick: i64) -> Position {
    match stored {
        None => Position::Next,
        Some(stored) if stored == prev_tick => Position::Next,
        Some(stored) if stored == tick => Position::Done,
        Some(_) => Position::Lost,
    }
}

/// Under which names the target keeps the position of one consumer.
#[derive(Debug)]
pub(super) struct Tracked<'a> {
    consumer: &'a str,
    queue: &'a str,
    tick: String,
    time: String,
}

/// What is stored under these names.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    tick: Option<i64>,
    /// Nothing where somebody has put the tick by hand.
    time: Option<Time>,
    /// A tick of an unknown queue.
    unnamed: Option<i64>,
}

impl Stored {
    fn position(&self, info: &BatchInfo) -> Position {
        let made = |time: Time| self.time.is_none_or(|stored| stored == time);
        match (self.tick, position(self.tick.or(self.unnamed), info.prev_tick_id, info.tick_id)) {
            (Some(_), Position::Next) if !made(info.prev_tick_time) => Position::Lost,
            (Some(_), Position::Done) if !made(info.tick_time) => Position::Lost,
            // It may be another queue's. To take that for this one's would lose the batch.
            (None, Position::Done) => Position::Lost,
            (_, found) => found,
        }
    }
}

impl<'a> Tracked<'a> {
    pub fn new(queue: &'a str, consumer: &'a str) -> Self {
        Tracked { consumer, queue, tick: format!("tick of {queue}"), time: format!("time of {queue}") }
    }

    /// Reads the position and decides; a lost one is an error, and so is another process that has begun a batch: both would find
    /// the same position, and do the same work.
    pub async fn check<C: GenericClient + Sync>(&self, target: &C, info: &BatchInfo) -> Result<Position> {
        let Tracked { consumer, queue, tick, time } = self;
        let free = target
            .query_typed_one(sql::LOCK_LAST_TICK, &[(consumer, Type::TEXT), (queue, Type::TEXT)])
            .await?;
        if !free.try_get::<_, bool>(0)? {
            return Err(Error::new(
                ErrorKind::Transient,
                format!(
                    "another process is working on a batch of consumer \"{consumer}\" of queue \"{queue}\" in the target database"
                ),
            )
            .hint("a consumer runs once: stop one of the two, or wait until the server has noticed that the other one's connection is dead"));
        }
        let row = target
            .query_typed_one(
                sql::GET_LAST_TICK,
                &[(consumer, Type::TEXT), (tick, Type::TEXT), (time, Type::TEXT)],
            )
            .await
            .map_err(|e| self.error(e.into()))?;
        let stored = Stored {
            tick: row.try_get(0)?,
            time: row.try_get::<_, Option<i64>>(1)?.map(Time::from_unix_micros),
            unnamed: row.try_get(2)?,
        };
        match stored.position(info) {
            Position::Lost => Err(self.lost(stored, info)),
            found => {
                if stored.tick.is_none() && stored.unnamed.is_some() {
                    // Taken over, in the transaction that stores it under the queue's name.
                    self.forget_unnamed(target).await?;
                }
                Ok(found)
            }
        }
    }

    /// Stores the tick that ends the batch, in the transaction of the work.
    pub async fn store<C: GenericClient + Sync>(&self, target: &C, info: &BatchInfo) -> Result<()> {
        self.set(target, Some((info.tick_id, info.tick_time))).await
    }

    /// Forgets the position, whoever stored it: the next batch is worked on, whichever it is.
    pub async fn forget<C: GenericClient + Sync>(&self, target: &C) -> Result<()> {
        self.set(target, None).await?;
        self.forget_unnamed(target).await
    }

    async fn forget_unnamed<C: GenericClient + Sync>(&self, target: &C) -> Result<()> {
        target
            .query_typed_one(sql::FORGET_UNNAMED_TICK, &[(&self.consumer, Type::TEXT)])
            .await
            .map_err(|e| self.error(e.into()))?;
        Ok(())
    }

    async fn set<C: GenericClient + Sync>(&self, target: &C, to: Option<(i64, Time)>) -> Result<()> {
        let (number, made) = to.map(|(tick, time)| (tick, time.unix_micros())).unzip();
        target
            .query_typed_one(
                sql::SET_LAST_TICK,
                &[
                    (&self.consumer, Type::TEXT),
                    (&self.tick, Type::TEXT),
                    (&self.time, Type::TEXT),
                    (&number, Type::INT8),
                    (&made, Type::INT8),
                ],
            )
            .await
            .map_err(|e| self.error(e.into()))?;
        Ok(())
    }

    fn lost(&self, stored: Stored, info: &BatchInfo) -> Error {
        let Tracked { consumer, queue, tick, time, .. } = self;
        let forget = |subconsumer: &str| {
            format!("select pgq_ext.set_last_tick({}{subconsumer}, null)", quote::literal(consumer))
        };
        let subconsumer = format!(", {}", quote::literal(tick));
        let has = stored.tick.or(stored.unnamed).unwrap_or_default();
        let (which, hint) = if stored.tick.is_none() {
            (
                " of a queue that is not known".to_owned(),
                format!(
                    "the tick was stored by the original, by an earlier version, or for another queue: when it is this queue's, say so there \
                     with `select pgq_ext.set_last_tick({}{subconsumer}, {has})`, otherwise forget it with `{}`",
                    quote::literal(consumer),
                    forget("")
                ),
            )
        } else {
            (
                stored.time.map(|time| format!(" of {time}")).unwrap_or_default(),
                format!(
                    "another source needs a consumer of another name, since a target knows a consumer by its name and its queue's. When one side was \
                     restored, moved or made anew: put the queue's position to the target's tick with pgq.register_consumer_at and forget when that \
                     was made with `{}`, or forget the target's position with `{}`",
                    forget(&format!(", {}", quote::literal(time))),
                    forget(&subconsumer)
                ),
            )
        };
        Error::data(format!(
            "consumer \"{consumer}\" of queue \"{queue}\" has lost its position: the target has tick {has}{which}, \
             the queue hands out the batch from tick {} of {} to {} of {}",
            info.prev_tick_id, info.prev_tick_time, info.tick_id, info.tick_time
        ))
        .hint(hint)
    }

    fn error(&self, error: Error) -> Error {
        let consumer = self.consumer;
        if error.kind() == ErrorKind::NotFound {
            return Error::not_found(format!(
                "consumer \"{consumer}\": the target database has no schema pgq_ext"
            ))
            .hint("install it there: `skytools install --db … pgq_ext`")
            .with_source(error);
        }
        error.context(format!("tracking the position of consumer \"{consumer}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_counts_only_for_its_own_source() {
        let info = BatchInfo {
            batch_id: 1,
            tick_id: 5,
            prev_tick_id: 4,
            tick_time: Time::from_unix_micros(50),
            prev_tick_time: Time::from_unix_micros(40),
            event_seq: None,
            prev_event_seq: None,
        };
        let position = |tick: Option<i64>, micros: Option<i64>, unnamed: Option<i64>| {
            Stored { tick, time: micros.map(Time::from_unix_micros), unnamed }.position(&info)
        };
        assert_eq!(position(None, None, None), Position::Next);
        assert_eq!(position(Some(4), Some(40), None), Position::Next);
        assert_eq!(position(Some(5), Some(50), None), Position::Done);
        // a queue made anew, or another database's
        assert_eq!(position(Some(4), Some(41), None), Position::Lost);
        assert_eq!(position(Some(5), Some(40), None), Position::Lost);
        assert_eq!(position(Some(6), Some(50), None), Position::Lost);
        // by hand
        assert_eq!(position(Some(4), None, None), Position::Next);
        assert_eq!(position(Some(5), None, Some(4)), Position::Done);
        // without the queue's name
        assert_eq!(position(None, None, Some(4)), Position::Next);
        assert_eq!(position(None, Some(40), Some(5)), Position::Lost);
        assert_eq!(position(None, None, Some(3)), Position::Lost);
    }
}
