//! The batch as a callback sees it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use skytools::{Error, Result};

use crate::Event;
use crate::batch::{BatchInfo, EventStream};

/// An open batch: its facts, its events as a stream, and what shall be retried.
///
/// Also a [`Stream`] of events. A callback may return before it has read all of them: the batch is finished all
/// the same, after the rest was received and thrown away.
#[derive(Debug)]
pub struct Batch {
    info: BatchInfo,
    events: EventStream,
    retries: Vec<(i64, i32)>,
    retry_whole: Option<i32>,
    started: Instant,
}

/// What is left to do when the callback is done.
#[derive(Debug)]
pub(super) struct Remains {
    pub info: BatchInfo,
    pub retries: Vec<(i64, i32)>,
    pub retry_whole: Option<i32>,
    pub events: u64,
    pub started: Instant,
}

impl Batch {
    pub(super) fn new(info: BatchInfo, events: EventStream, started: Instant) -> Self {
        Batch { info, events, retries: Vec::new(), retry_whole: None, started }
    }

    /// Number, ticks and times of the batch.
    pub fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// The next event, or `None` after the last one.
    ///
    /// # Errors
    /// A broken connection, or an event that cannot be decoded.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        self.events.next_event().await
    }

    /// How many events have been read.
    pub fn received(&self) -> u64 {
        self.events.received()
    }

    /// Puts an event of this batch back: it comes again, to this consumer alone, not before `after` has passed
    /// (rounded up to seconds), with [`Event::retry`] counting. Happens when the batch is finished, and only then.
    pub fn retry(&mut self, event: &Event, after: Duration) {
        self.retries.push((event.id(), seconds(after)));
    }

    /// Puts every event of this batch back.
    pub fn retry_whole(&mut self, after: Duration) {
        self.retry_whole = Some(seconds(after));
    }

    pub(super) fn into_remains(self) -> Remains {
        Remains {
            events: self.events.received(),
            info: self.info,
            retries: self.retries,
            retry_whole: self.retry_whole,
            started: self.started,
        }
    }
}

impl Remains {
    pub fn wants_retry(&self) -> bool {
        self.retry_whole.is_some() || !self.retries.is_empty()
    }

    /// A stored tick says "all of it is done", so nothing may be put back.
    pub fn refuse_retry(&self) -> Result<()> {
        if !self.wants_retry() {
            return Ok(());
        }
        Err(Error::usage("a consumer that tracks its position in another database cannot put events back")
            .hint("handle the event there, or use for_each_batch"))
    }
}

impl Stream for Batch {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

fn seconds(after: Duration) -> i32 {
    let whole = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    i32::try_from(whole).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_up() {
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(60)), 60);
        assert_eq!(seconds(Duration::MAX), i32::MAX);
    }
}
