//! How often the worker looks for the next batch: as configured when little happens, more often under load.
//!
//! pgqd looks once per period whether a tick is due, and a worker that found nothing sleeps for `loop_delay`. Under load
//! both waits only make the replica older, so the worker then asks the queue itself, by the queue's own rules
//! (`ticker_max_count`, `ticker_max_lag`).

use std::time::{Duration, Instant};

/// A batch with as many events means load.
const LOAD_EVENTS: u64 = 100;
/// For so long after such a batch.
const LOAD_LASTS: Duration = Duration::from_secs(1);
/// How often to look then.
const LOOK_UNDER_LOAD: Duration = Duration::from_millis(50);

/// When there was load.
#[derive(Debug, Default)]
pub(super) struct Pace {
    load: Option<Instant>,
}

impl Pace {
    /// Takes note of a batch.
    pub fn applied(&mut self, events: u64) {
        if events >= LOAD_EVENTS {
            self.load = Some(Instant::now());
        }
    }

    /// Whether applications write a lot at present.
    pub fn under_load(&self) -> bool {
        self.load.is_some_and(|at| at.elapsed() < LOAD_LASTS)
    }

    /// How long to wait before the next look, given what is configured.
    pub fn wait(&self, configured: Duration) -> Duration {
        if self.under_load() { configured.min(LOOK_UNDER_LOAD) } else { configured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_load_hurries() {
        let mut pace = Pace::default();
        let configured = Duration::from_secs(1);
        pace.applied(LOAD_EVENTS - 1);
        assert_eq!(pace.wait(configured), configured);
        pace.applied(LOAD_EVENTS);
        assert!(pace.under_load());
        assert_eq!(pace.wait(configured), LOOK_UNDER_LOAD);
        assert_eq!(pace.wait(Duration::from_millis(1)), Duration::from_millis(1));
        pace.load = Instant::now().checked_sub(LOAD_LASTS);
        assert!(!pace.under_load());
    }
}
