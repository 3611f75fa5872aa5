//! The events of a batch as a stream with bounded memory.
//!
//! The text of `pgq.batch_event_sql` runs inside a binary `COPY … TO STDOUT`: the server sends row after row, and
//! stops when we do not read, because the driver hands over one read of the socket at a time and does not read
//! again before it was taken. So memory holds a few kilobytes of events, or one event when it is larger (a row
//! is one protocol message, which the driver collects whole in a buffer that grows by doubling).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{CopyOutStream, GenericClient};

use super::decode::Decoder;
use crate::event::Event;
use crate::sql;

/// The events of one batch, in the order of their ids. Ends after the first error.
///
/// Dropping it before its end lets the connection read and discard the rest before anything else runs there.
pub struct EventStream {
    batch_id: i64,
    copy: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    received: u64,
    last_id: Option<i64>,
    over: bool,
}

/// Starts reading the events of an open batch.
///
/// `filter` is an SQL condition over the ten event columns (`ev_extra1 = 'public.t'`), put into the query as it
/// is: it must come from the program or its configuration, never from data.
///
/// # Errors
/// [`ErrorKind::NotFound`] when the batch is not open; whatever the server reports, a wrong filter included.
pub async fn events<C: GenericClient + Sync>(
    client: &C,
    batch_id: i64,
    filter: Option<&str>,
) -> Result<EventStream> {
    let row = client
        .query_typed_one(sql::BATCH_EVENT_SQL, &[(&batch_id, Type::INT8)])
        .await
        .map_err(|e| open_error(e.into(), batch_id))?;
    let query: Option<&str> = row.try_get(0)?;
    let query = query.ok_or_else(|| Error::not_found(format!("batch {batch_id} is not open")))?;
    let copy = client
        .client()
        .copy_out(&copy_statement(query, filter))
        .await
        .map_err(|e| open_error(e.into(), batch_id))?;
    Ok(EventStream {
        batch_id,
        copy: Box::pin(copy),
        decoder: Decoder::new(),
        received: 0,
        last_id: None,
        over: false,
    })
}

/// The inner query ends in an ORDER BY. With a filter it becomes a subquery under the same order: the planner
/// moves the condition into its scans and sees that the result is sorted already, so nothing is sorted twice.
fn copy_statement(query: &str, filter: Option<&str>) -> String {
    match filter {
        None => format!("copy ({query}) to stdout (format binary)"),
        // The line break ends a comment that the filter may end with.
        Some(filter) => {
            format!(
                "copy (select * from ({query}) as ev where ({filter}\n) order by ev_id) to stdout (format binary)"
            )
        }
    }
}

fn open_error(error: Error, batch_id: i64) -> Error {
    let text = error.to_string();
    if text.starts_with("batch not found") || text.starts_with("Cannot find data for batch") {
        return Error::not_found(format!("batch {batch_id} is not open"))
            .hint("another process runs under the same consumer name, or the consumer was moved or unregistered meanwhile")
            .with_source(error);
    }
    error.context(format!("reading the events of batch {batch_id}"))
}

impl EventStream {
    /// The next event, or `None` after the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] when the connection broke, [`ErrorKind::Data`] for an event that cannot be
    /// decoded.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        self.next().await.transpose()
    }

    /// How many events have been returned.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The batch this stream reads.
    pub fn batch_id(&self) -> i64 {
        self.batch_id
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        loop {
            if let Some(event) = self.decoder.next_event()? {
                return Poll::Ready(Ok(Some(event)));
            }
            match ready!(self.copy.as_mut().poll_next(cx)) {
                Some(Ok(piece)) => self.decoder.push(piece),
                Some(Err(e)) => return Poll::Ready(Err(self.server_error(e.into()))),
                None if self.decoder.is_complete() => return Poll::Ready(Ok(None)),
                None => {
                    return Poll::Ready(Err(Error::new(
                        ErrorKind::Connection,
                        format!(
                            "the server ended the copy after {} events without an end marker",
                            self.received
                        ),
                    )));
                }
            }
        }
    }
}

impl EventStream {
    /// A database of encoding `SQL_ASCII` may hold anything; the server then refuses to send it as UTF-8, and does
    /// not say which row it was.
    fn server_error(&self, error: Error) -> Error {
        if error.sqlstate() != Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) {
            return error;
        }
        let place = self
            .last_id
            .map_or_else(|| "the first event".to_owned(), |id| format!("the event after event {id}"));
        Error::data(format!("{place} is not valid UTF-8"))
            .hint("the queue's database has encoding SQL_ASCII and holds bytes of another encoding; filter the event out or correct it there")
            .with_source(error)
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.poll_event(cx)) {
            Ok(Some(event)) => {
                self.received += 1;
                self.last_id = Some(event.id());
                Some(Ok(event))
            }
            Ok(None) => {
                self.over = true;
                None
            }
            Err(error) => {
                self.over = true;
                let batch = self.batch_id;
                Some(Err(error.context(format!("reading the events of batch {batch}"))))
            }
        })
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("batch_id", &self.batch_id)
            .field("received", &self.received)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_wraps_the_query() {
        assert_eq!(
            copy_statement("select 1 order by 1", None),
            "copy (select 1 order by 1) to stdout (format binary)"
        );
        assert_eq!(
            copy_statement("q order by 1", Some("true -- all")),
            "copy (select * from (q order by 1) as ev where (true -- all\n) order by ev_id) to stdout (format binary)"
        );
    }
}
