//! Many events by one call of `pgq.insert_events`, which tells their ids.

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::insert_error;
use crate::NewEvent;
use crate::sql;

/// Writes events in the order given and returns their ids in the same order.
///
/// One call, in the caller's transaction, with the rights of `pgq_writer`; all events go over at once, so a call
/// should stay within some megabytes. [`insert_events`](super::insert_events) is for more, and for events that
/// carry an id or a time. The queue's limit of events per transaction counts every event.
///
/// # Errors
/// As [`insert_event`](super::insert_event), [`Usage`](ErrorKind::Usage) for an event with an id or a time. The
/// functions of the original lack this one.
pub async fn insert_events_with_ids<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    events: &[NewEvent<'_>],
) -> Result<Vec<i64>> {
    if events.iter().any(|event| event.id.is_some() || event.time.is_some()) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("writing to queue \"{queue}\": events of this call must not carry an id or a time"),
        )
        .hint("use producer::insert_events, or insert_event for each"));
    }
    let texts: Vec<_> = events.iter().map(NewEvent::texts).collect();
    let columns: [Vec<Option<&str>>; 6] =
        std::array::from_fn(|column| texts.iter().map(|event| event[column]).collect());
    let [types, datas, extra1, extra2, extra3, extra4] = &columns;
    let row = client
        .query_typed_one(
            sql::INSERT_EVENTS,
            &[
                (&queue, Type::TEXT),
                (types, Type::TEXT_ARRAY),
                (datas, Type::TEXT_ARRAY),
                (extra1, Type::TEXT_ARRAY),
                (extra2, Type::TEXT_ARRAY),
                (extra3, Type::TEXT_ARRAY),
                (extra4, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map_err(|e| insert_error(e.into(), queue))?;
    Ok(row.try_get(0)?)
}
