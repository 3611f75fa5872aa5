//! Writing events inside the caller's transaction: they exist exactly if it commits.
//!
//! ```no_run
//! # async fn demo(client: &mut tokio_postgres::Client) -> skytools::Result<()> {
//! use pgq::{NewEvent, producer};
//!
//! let tx = client.transaction().await?;
//! tx.execute("insert into orders (id, total) values ($1, $2)", &[&7_i64, &100_i32]).await?;
//! producer::insert_event(&tx, "orders", &NewEvent::new("order.created", r#"{"id":7}"#)).await?;
//! tx.commit().await?; // both, or neither
//! # Ok(())
//! # }
//! ```
//!
//! [`insert_event`] is one call of `pgq.insert_event` and needs the rights of `pgq_writer`. [`insert_events`]
//! copies any number of events straight into the queue's current table, which needs those of `pgq_admin`;
//! a role without them gets the same result through arrays of calls, some times slower. [`insert_events_with_ids`]
//! writes what fits into one call and returns the ids.
//!
//! Consumers see events only after the next tick that follows the commit. All events of a transaction come in
//! one batch.

mod arrays;
mod bulk;
mod encode;

use skytools::{Error, Result};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

pub use arrays::insert_events_with_ids;
pub use bulk::insert_events;

use crate::NewEvent;
use crate::sql;

/// Writes one event and returns its id.
///
/// # Errors
/// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue, [`State`](skytools::ErrorKind::State) when
/// inserting is disabled or the queue's limit of events per transaction is passed, a retryable error when a
/// REPEATABLE READ transaction began before the queue's tables were rotated.
pub async fn insert_event<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64> {
    let texts = event.texts();
    let [ev_type, data, extra1, extra2, extra3, extra4] = &texts;
    let row = if event.id.is_none() && event.time.is_none() {
        client
            .query_typed_one(
                sql::INSERT_EVENT,
                &[
                    (&queue, Type::TEXT),
                    (ev_type, Type::TEXT),
                    (data, Type::TEXT),
                    (extra1, Type::TEXT),
                    (extra2, Type::TEXT),
                    (extra3, Type::TEXT),
                    (extra4, Type::TEXT),
                ],
            )
            .await
    } else {
        client
            .query_typed_one(
                sql::INSERT_EVENT_RAW,
                &[
                    (&queue, Type::TEXT),
                    (ev_type, Type::TEXT),
                    (data, Type::TEXT),
                    (extra1, Type::TEXT),
                    (extra2, Type::TEXT),
                    (extra3, Type::TEXT),
                    (extra4, Type::TEXT),
                    (&event.id, Type::INT8),
                    (&event.time, Type::TIMESTAMPTZ),
                ],
            )
            .await
    };
    Ok(row.map_err(|e| insert_error(e.into(), queue))?.try_get(0)?)
}

/// The functions raise plain exceptions; their texts are part of their interface.
fn insert_error(error: Error, queue: &str) -> Error {
    let doing = format!("writing to queue \"{queue}\"");
    let text = error.to_string();
    if text.starts_with("No such queue")
        || text.starts_with("Event queue not found")
        || text.starts_with("query string argument of EXECUTE is null")
    {
        return Error::not_found(format!("{doing}: there is no such queue"))
            .hint("create it first: `select pgq.create_queue('…')`")
            .with_source(error);
    }
    if text.starts_with("Insert into queue disallowed") || text.starts_with("Writing to queue disabled") {
        return Error::state(format!("{doing}: inserting is disabled on this queue"))
            .hint("a branch node, or a takeover in progress: write on the root node")
            .with_source(error);
    }
    if text.starts_with("Queue '") && text.contains("events from one TX") {
        return limit_error(queue).with_source(error);
    }
    error.context(doing)
}

fn limit_error(queue: &str) -> Error {
    Error::state(format!("writing to queue \"{queue}\": its limit of events per transaction is passed"))
        .hint("commit more often, or raise queue_per_tx_limit in pgq.queue")
}
