//! Many events at once: a binary COPY into the queue's current table.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{CopyInSink, GenericClient, Transaction};

use super::{encode, insert_error, limit_error};
use crate::sql;
use crate::{NewEvent, Time};

/// Bytes of rows that are collected before they are handed to the connection.
const BUFFER: usize = 64 * 1024;
/// Events and bytes per call when the rights for COPY are missing.
const ARRAY_EVENTS: usize = 1000;
const ARRAY_BYTES: usize = 1 << 20;

/// Where the events of this transaction go; valid until it ends.
struct Target {
    table: String,
    copy_allowed: bool,
    now: Time,
    limit: Option<u64>,
}

/// Writes events in the order given and returns how many there were.
///
/// Runs in a transaction of its own on a client, in a savepoint on a transaction: after an error nothing of
/// this call is left and the caller's transaction goes on. The iterator is read as the connection takes the
/// data, so it may be longer than memory.
///
/// The queue's `queue_per_tx_limit` bounds each call by itself; unlike single inserts, calls of one transaction
/// are not added up. (The original's bulk path ignores the limit.) Events that carry ids keep them; the queue's
/// sequence does not move then, so that only an external ticker, or other events, will make a tick.
///
/// # Errors
/// As [`insert_event`](super::insert_event); [`Usage`](skytools::ErrorKind::Usage) when only some events carry ids.
pub async fn insert_events<'e, C, I>(client: &mut C, queue: &str, events: I) -> Result<u64>
where
    C: GenericClient,
    I: IntoIterator<Item = NewEvent<'e>>,
{
    let mut events = events.into_iter().peekable();
    let tx = client.transaction().await?;
    let target = target(&tx, queue).await?;
    let Some(first) = events.peek() else { return Ok(0) };
    let with_id = first.id.is_some();
    let count = if target.copy_allowed {
        copy(&tx, queue, &target, with_id, events).await?
    } else if with_id {
        return Err(Error::new(
            skytools::ErrorKind::Permission,
            format!("writing to queue \"{queue}\": keeping event ids needs INSERT on {}", target.table),
        )
        .hint("grant the role pgq_admin"));
    } else {
        call_with_arrays(&tx, queue, &target, events).await?
    };
    tx.commit().await?;
    Ok(count)
}

async fn target(tx: &Transaction<'_>, queue: &str) -> Result<Target> {
    let row = tx
        .query_typed_one(sql::CURRENT_EVENT_TABLE, &[(&queue, Type::TEXT)])
        .await
        .map_err(|e| insert_error(e.into(), queue))?;
    let limit: Option<i32> = row.try_get(3)?;
    Ok(Target {
        table: row.try_get(0)?,
        copy_allowed: row.try_get(1)?,
        now: row.try_get(2)?,
        // Negative means unlimited, as NULL does.
        limit: limit.and_then(|l| u64::try_from(l).ok()),
    })
}

async fn copy<'e>(
    tx: &Transaction<'_>,
    queue: &str,
    target: &Target,
    with_id: bool,
    events: impl Iterator<Item = NewEvent<'e>>,
) -> Result<u64> {
    let id = if with_id { "ev_id, " } else { "" };
    // The table name comes from the database and is usable as it is.
    let statement = format!(
        "copy {} ({id}ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) from stdin (format binary)",
        target.table
    );
    let failed = |e: tokio_postgres::Error| insert_error(e.into(), queue);
    // Inserts nothing, but takes the lock and fails for whatever would make the server refuse to begin the COPY: the queue was
    // dropped while this waited, the transaction is read-only. tokio-postgres follows a refused COPY with one Sync too many,
    // and the caller's connection would take each answer for that of the statement before it:
    // https://github.com/rust-postgres/rust-postgres/issues/789
    let nothing = format!("insert into {} (ev_data) select null where false", target.table);
    tx.batch_execute(&nothing).await.map_err(failed)?;
    let sink: CopyInSink<Bytes> = tx.copy_in(&statement).await.map_err(failed)?;
    let mut sink = Box::pin(sink);
    let mut buffer = BytesMut::with_capacity(BUFFER);
    encode::header(&mut buffer);
    let mut count = 0;
    for event in events {
        if target.limit.is_some_and(|limit| count >= limit) {
            // Dropping the sink makes the server fail the COPY; the savepoint is rolled back.
            return Err(limit_error(queue));
        }
        encode::row(&mut buffer, &event, with_id, event.time.unwrap_or(target.now))?;
        count += 1;
        if buffer.len() >= BUFFER {
            flush(&mut sink, &mut buffer).await.map_err(failed)?;
        }
    }
    encode::trailer(&mut buffer);
    flush(&mut sink, &mut buffer).await.map_err(failed)?;
    let written = sink.as_mut().finish().await.map_err(failed)?;
    if written == count {
        return Ok(count);
    }
    Err(Error::data(format!(
        "writing to queue \"{queue}\": sent {count} events, the server stored {written}"
    )))
}

async fn flush(
    sink: &mut Pin<Box<CopyInSink<Bytes>>>,
    buffer: &mut BytesMut,
) -> Result<(), tokio_postgres::Error> {
    sink.send(buffer.split().freeze()).await?;
    buffer.reserve(BUFFER);
    Ok(())
}

async fn call_with_arrays<'e>(
    tx: &Transaction<'_>,
    queue: &str,
    target: &Target,
    events: impl Iterator<Item = NewEvent<'e>>,
) -> Result<u64> {
    let mut chunk: Vec<NewEvent<'e>> = Vec::new();
    let mut bytes = 0;
    let mut count = 0;
    for event in events {
        if target.limit.is_some_and(|limit| count >= limit) {
            return Err(limit_error(queue));
        }
        if event.id.is_some() || event.time.is_some() {
            return Err(Error::new(
                skytools::ErrorKind::Permission,
                format!(
                    "writing to queue \"{queue}\": keeping event ids or times needs INSERT on {}",
                    target.table
                ),
            )
            .hint("grant the role pgq_admin"));
        }
        bytes += event.texts().iter().flatten().map(|t| t.len()).sum::<usize>();
        chunk.push(event);
        count += 1;
        if chunk.len() >= ARRAY_EVENTS || bytes >= ARRAY_BYTES {
            send_arrays(tx, queue, &chunk).await?;
            chunk.clear();
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        send_arrays(tx, queue, &chunk).await?;
    }
    Ok(count)
}

async fn send_arrays(tx: &Transaction<'_>, queue: &str, chunk: &[NewEvent<'_>]) -> Result<()> {
    let column = |field: usize| chunk.iter().map(|e| e.texts()[field]).collect::<Vec<_>>();
    let columns: [Vec<Option<&str>>; 6] = std::array::from_fn(column);
    let [t, d, x1, x2, x3, x4] = &columns;
    tx.query_typed(
        sql::INSERT_EVENT_ARRAYS,
        &[
            (&queue, Type::TEXT),
            (t, Type::TEXT_ARRAY),
            (d, Type::TEXT_ARRAY),
            (x1, Type::TEXT_ARRAY),
            (x2, Type::TEXT_ARRAY),
            (x3, Type::TEXT_ARRAY),
            (x4, Type::TEXT_ARRAY),
        ],
    )
    .await
    .map_err(|e| insert_error(e.into(), queue))?;
    Ok(())
}
