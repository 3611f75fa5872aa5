//! Counters, and the line that tells them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::database::Shared;

/// What was done since the last line.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    ticks: AtomicU64,
    maint: AtomicU64,
    retry: AtomicU64,
}

impl Stats {
    /// The ticker was called once.
    pub fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// A round of maintenance was completed.
    pub fn maintained(&self) {
        self.maint.fetch_add(1, Ordering::Relaxed);
    }

    /// Events went back into their queues.
    pub fn retried(&self, events: u64) {
        self.retry.fetch_add(events, Ordering::Relaxed);
    }

    fn take_line(&self) -> String {
        let [ticks, maint, retry] =
            [&self.ticks, &self.maint, &self.retry].map(|counter| counter.swap(0, Ordering::Relaxed));
        format!("{{ticks: {ticks}, maint: {maint}, retry: {retry}}}")
    }
}

/// Logs the counters each `stats_period`.
pub(crate) async fn run(shared: Shared) {
    let mut settings = shared.settings.clone();
    loop {
        let period = settings.borrow_and_update().stats_period;
        if !changed_within(period, &mut settings).await {
            tracing::info!("{}", shared.stats.take_line());
        }
    }
}

/// Waits for the period, or without end when it is zero; returns early, with true, when the settings change.
async fn changed_within<T>(period: Duration, settings: &mut watch::Receiver<T>) -> bool {
    let elapsed = async {
        if period.is_zero() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(period).await;
    };
    tokio::select! {
        () = elapsed => false,
        changed = settings.changed() => {
            if changed.is_err() {
                // The daemon is going away and will end this task.
                std::future::pending::<()>().await;
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_starts_the_counters_over() {
        let stats = Stats::default();
        stats.tick();
        stats.tick();
        stats.maintained();
        stats.retried(7);
        assert_eq!(stats.take_line(), "{ticks: 2, maint: 1, retry: 7}");
        assert_eq!(stats.take_line(), "{ticks: 0, maint: 0, retry: 0}");
    }
}
