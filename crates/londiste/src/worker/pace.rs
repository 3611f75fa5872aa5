//! How often the worker looks for changes: as configured when little happens, more often while changes come.
//!
//! pgqd looks once per period whether a tick is due, and a worker that found nothing sleeps for `loop_delay`. Both waits only
//! make the replica older. So a worker with nothing left to do has ticks made when events wait, where it can
//! (`docs/design/ticks-on-demand.md`); elsewhere, under load, it makes those that are due by the queue's own rules
//! (`ticker_max_count`, `ticker_max_lag`).

use std::time::{Duration, Instant};

use pgq::consumer::MORE_EXPECTED;

/// A batch with as many events means load.
const LOAD_EVENTS: u64 = 100;
/// For so long after such a batch.
const LOAD_LASTS: Duration = Duration::from_secs(1);
/// How often to look while more events are expected.
const LOOK: Duration = Duration::from_millis(50);
/// How long to leave events waiting at most, so that they become one batch.
const GATHER: Duration = Duration::from_millis(250);
/// Looks in `loop_delay` while nothing comes. A look is one call; after `loop_delay` follows a whole round.
const LOOKS: u32 = 4;

/// What came, and when.
#[derive(Debug, Default)]
pub(super) struct Pace {
    load: Option<Instant>,
    events: Option<Instant>,
    /// The last batch: its end, and how long it took.
    batch: Option<(Instant, Duration)>,
}

impl Pace {
    /// Takes note of a batch.
    pub fn applied(&mut self, events: u64, took: Duration) {
        let now = Instant::now();
        self.batch = Some((now, took));
        if events > 0 {
            self.events = Some(now);
        }
        if events >= LOAD_EVENTS {
            self.load = Some(now);
        }
    }

    /// Whether applications write a lot at present.
    pub fn under_load(&self) -> bool {
        self.load.is_some_and(|at| at.elapsed() < LOAD_LASTS)
    }

    fn expects(&self) -> bool {
        self.events.is_some_and(|at| at.elapsed() < MORE_EXPECTED)
    }

    /// Time to leave before the next tick is asked for: as long as the last batch took, so that the fixed cost of small
    /// batches cannot take more than half of the time.
    fn gather(&self) -> Duration {
        self.batch
            .map_or(Duration::ZERO, |(end, took)| took.clamp(LOOK, GATHER).saturating_sub(end.elapsed()))
    }

    /// Whether it is time to ask for a tick.
    pub fn may_ask(&self) -> bool {
        self.gather().is_zero()
    }

    /// How long to wait before the next look, given what is configured. `cheap`: looks are single calls.
    pub fn wait(&self, configured: Duration, cheap: bool) -> Duration {
        match (cheap, self.expects()) {
            (true, true) => configured.min(LOOK.max(self.gather())),
            (true, false) => configured / LOOKS,
            (false, _) if self.under_load() => configured.min(LOOK),
            (false, _) => configured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Pace {
        /// As [`Pace::applied`] a moment ago, and it stays so, however slow the machine is.
        fn just_applied(&mut self, events: u64, took: Duration) {
            self.applied(events, took);
            let later = Instant::now() + Duration::from_secs(3600);
            self.load = self.load.map(|_| later);
            self.events = self.events.map(|_| later);
            self.batch = self.batch.map(|(_, took)| (later, took));
        }
    }

    #[test]
    fn without_ticks_on_demand_only_load_hurries() {
        let mut pace = Pace::default();
        pace.just_applied(LOAD_EVENTS - 1, Duration::ZERO);
        assert_eq!(pace.wait(SECOND, false), SECOND);
        pace.just_applied(LOAD_EVENTS, Duration::ZERO);
        assert!(pace.under_load());
        assert_eq!(pace.wait(SECOND, false), LOOK);
        assert_eq!(pace.wait(Duration::from_millis(1), false), Duration::from_millis(1));
        pace.load = Instant::now().checked_sub(LOAD_LASTS);
        assert!(!pace.under_load());
    }

    #[test]
    fn looks_come_often_while_events_come() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(SECOND, true), SECOND / LOOKS);
        pace.just_applied(0, Duration::ZERO);
        assert_eq!(pace.wait(SECOND, true), SECOND / LOOKS);
        pace.just_applied(1, Duration::ZERO);
        assert_eq!(pace.wait(SECOND, true), LOOK);
        pace.events = Instant::now().checked_sub(MORE_EXPECTED);
        assert_eq!(pace.wait(SECOND, true), SECOND / LOOKS);
    }

    #[test]
    fn slow_batches_are_followed_by_a_pause() {
        let mut pace = Pace::default();
        assert!(pace.may_ask());
        pace.just_applied(1, Duration::from_secs(3600));
        assert!(!pace.may_ask());
        let wait = pace.wait(SECOND, true);
        assert!(wait > LOOK && wait <= GATHER, "{wait:?}");
        pace.batch = Instant::now().checked_sub(GATHER).map(|end| (end, Duration::from_secs(3600)));
        assert!(pace.may_ask());
    }
}
