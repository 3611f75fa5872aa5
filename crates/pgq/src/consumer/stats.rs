//! Numbers about what a consumer has done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Time;

/// One finished batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStats {
    /// Number of the batch.
    pub batch_id: i64,
    /// The tick that ended it.
    pub tick_id: i64,
    /// When that tick was made.
    pub tick_time: Time,
    /// Events that the callback read.
    pub events: u64,
    /// Events put back to come again.
    pub retried: u64,
    /// From opening the batch to finishing it.
    pub duration: Duration,
    /// The target had it already, so only its finishing was made up for.
    pub skipped: bool,
}

/// Totals of a consumer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConsumerStats {
    /// Batches finished.
    pub batches: u64,
    /// Events that callbacks read in them.
    pub events: u64,
    /// Events put back.
    pub retried: u64,
    /// Failures after which the consumer went on.
    pub errors: u64,
    /// The tick completed last.
    pub last_tick: Option<i64>,
    /// When that tick was made: the consumer is this far behind.
    pub last_tick_time: Option<Time>,
}

/// Totals that the clones of a consumer share.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<ConsumerStats>>);

impl Shared {
    pub fn snapshot(&self) -> ConsumerStats {
        self.lock().clone()
    }

    pub fn finished(&self, batch: &BatchStats) {
        let mut totals = self.lock();
        totals.batches += 1;
        totals.events += batch.events;
        totals.retried += batch.retried;
        totals.last_tick = Some(batch.tick_id);
        totals.last_tick_time = Some(batch.tick_time);
    }

    pub fn failed(&self) {
        self.lock().errors += 1;
    }

    fn lock(&self) -> MutexGuard<'_, ConsumerStats> {
        // Counters are valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
