//! When a batch is big enough, or old enough, to be handed out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An interval in the server's own syntax, such as `10 seconds` or `1 day`; the server checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(String);

impl Interval {
    /// From text that the server will parse.
    pub fn new(text: impl Into<String>) -> Self {
        Interval(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Duration> for Interval {
    fn from(duration: Duration) -> Self {
        Interval(format!("{}.{:06} seconds", duration.as_secs(), duration.subsec_micros()))
    }
}

/// Conditions a batch has to meet before it is handed out (`pgq.next_batch_custom`). With none set, each batch
/// is the events between two neighbouring ticks. A batch that is already open is handed out regardless.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchLimits {
    /// Stay at least this far behind the present.
    pub min_lag: Option<Interval>,
    /// Join ticks until the batch has about this many events. A hint: sequence numbers have gaps.
    pub min_count: Option<i32>,
    /// Join ticks until the batch spans this much time. With `min_count` too, either is enough.
    pub min_interval: Option<Interval>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_seconds() {
        assert_eq!(Interval::from(Duration::from_micros(1_500_001)).as_str(), "1.500001 seconds");
        assert_eq!(Interval::from(Duration::from_secs(90)).as_str(), "90.000000 seconds");
    }
}
