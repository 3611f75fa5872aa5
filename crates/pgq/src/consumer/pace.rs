//! How often a consumer looks for events: at the configured pace, and often for a while after some came.

use std::time::{Duration, Instant};

/// How often to look while events come.
const LOOK: Duration = Duration::from_millis(10);
/// For so long after an event more are expected, and looks come often. Consumers of ten events a second never slow down.
pub const MORE_EXPECTED: Duration = Duration::from_secs(5);

/// When events came.
#[derive(Debug, Default)]
pub(super) struct Pace {
    events: Option<Instant>,
}

impl Pace {
    /// Takes note of a batch.
    pub fn finished(&mut self, events: u64) {
        if events > 0 {
            self.events = Some(Instant::now());
        }
    }

    /// How long to wait before the next look, given what is configured. `cheap`: a look costs little.
    pub fn wait(&self, configured: Duration, cheap: bool) -> Duration {
        if cheap && self.events.is_some_and(|at| at.elapsed() < MORE_EXPECTED) {
            configured.min(LOOK)
        } else {
            configured
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_and_cheap_looks_hurry() {
        let configured = Duration::from_millis(250);
        let mut pace = Pace::default();
        pace.finished(0);
        assert_eq!(pace.wait(configured, true), configured);
        pace.finished(1);
        assert_eq!(pace.wait(configured, false), configured);
        assert_eq!(pace.wait(configured, true), LOOK);
        assert_eq!(pace.wait(Duration::from_millis(1), true), Duration::from_millis(1));
        pace.events = Instant::now().checked_sub(MORE_EXPECTED);
        assert_eq!(pace.wait(configured, true), configured);
    }
}
