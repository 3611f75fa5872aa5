//! Where the target database says we are, against what the queue hands out.

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::batch::BatchInfo;
use crate::sql;

/// What the stored tick means for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The batch is next, or nothing was stored yet: process it.
    Next,
    /// The target has it already; a crash came between its commit and `finish_batch`.
    Done,
    /// Neither: the two databases do not belong together any more.
    Lost,
}

/// Decides by the last tick stored in the target.
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

/// Reads the stored tick and decides; a lost position is an error, and so is another process that has begun a batch: both would find
/// the same position, and do the same work.
pub(super) async fn check<C: GenericClient + Sync>(
    target: &C,
    consumer: &str,
    info: &BatchInfo,
) -> Result<Position> {
    let free = target.query_typed_one(sql::LOCK_LAST_TICK, &[(&consumer, Type::TEXT)]).await?;
    if !free.try_get::<_, bool>(0)? {
        return Err(Error::new(
            ErrorKind::Transient,
            format!("another process is working on a batch of consumer \"{consumer}\" in the target database"),
        )
        .hint("a consumer runs once: stop one of the two, or wait until the server has noticed that the other one's connection is dead"));
    }
    let row = target
        .query_typed_one(sql::GET_LAST_TICK, &[(&consumer, Type::TEXT)])
        .await
        .map_err(|e| tracking_error(e.into(), consumer))?;
    let stored: Option<i64> = row.try_get(0)?;
    match position(stored, info.prev_tick_id, info.tick_id) {
        Position::Lost => Err(Error::data(format!(
            "consumer \"{consumer}\" has lost its position: the target has tick {}, the queue hands out the batch from tick {} to {}",
            stored.unwrap_or_default(),
            info.prev_tick_id,
            info.tick_id
        ))
        .hint("one side was restored or moved: put the queue's position to the target's tick with pgq.register_consumer_at, or forget the target's with pgq_ext.set_last_tick(consumer, null)")),
        found => Ok(found),
    }
}

/// Stores the tick, in the transaction of the work.
pub(super) async fn store<C: GenericClient + Sync>(target: &C, consumer: &str, tick: i64) -> Result<()> {
    target
        .query_typed_one(sql::SET_LAST_TICK, &[(&consumer, Type::TEXT), (&tick, Type::INT8)])
        .await
        .map_err(|e| tracking_error(e.into(), consumer))?;
    Ok(())
}

fn tracking_error(error: Error, consumer: &str) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Error::not_found(format!(
            "consumer \"{consumer}\": the target database has no schema pgq_ext"
        ))
        .hint("install it there: `skytools install --db … pgq_ext`")
        .with_source(error);
    }
    error.context(format!("tracking the position of consumer \"{consumer}\""))
}
