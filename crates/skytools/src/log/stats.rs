//! Counters of one round of work, logged as `{key: value, key2: value2}`.
//!
//! The leading brace marks the line for programs that sum such lines up, so nothing else is put on it.

use std::fmt;

/// A value of a statistics line.
#[derive(Debug, Clone, PartialEq)]
pub enum StatValue {
    /// A count.
    Int(i64),
    /// A duration in seconds or another fraction; shown with four decimals.
    Float(f64),
    /// Anything else.
    Text(String),
}

impl From<i64> for StatValue {
    fn from(value: i64) -> Self {
        StatValue::Int(value)
    }
}

impl From<f64> for StatValue {
    fn from(value: f64) -> Self {
        StatValue::Float(value)
    }
}

impl From<&str> for StatValue {
    fn from(value: &str) -> Self {
        StatValue::Text(value.to_owned())
    }
}

impl fmt::Display for StatValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatValue::Int(n) => write!(f, "{n}"),
            StatValue::Float(x) => write!(f, "{x:.4}"),
            StatValue::Text(s) => f.write_str(s),
        }
    }
}

/// Statistics collected since the last line, in the order in which the keys were first used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats(Vec<(String, StatValue)>);

impl Stats {
    /// No statistics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: &str, value: impl Into<StatValue>) {
        let value = value.into();
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some(slot) => slot.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Adds to a count, which starts at zero; a fraction stays a fraction, a text is replaced.
    pub fn increase(&mut self, key: &str, by: i64) {
        match self.0.iter_mut().find(|(k, _)| k == key).map(|slot| &mut slot.1) {
            Some(StatValue::Int(n)) => *n = n.saturating_add(by),
            // Past 2^53 a statistic may lose digits.
            Some(StatValue::Float(x)) => *x += by as f64,
            Some(text @ StatValue::Text(_)) => *text = StatValue::Int(by),
            None => self.0.push((key.to_owned(), StatValue::Int(by))),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&StatValue> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Logs one line at INFO unless nothing was collected, and starts over.
    pub fn emit(&mut self) {
        if !self.is_empty() {
            tracing::info!("{self}");
            self.0.clear();
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{key}: {value}")?;
        }
        f.write_str("}")
    }
}
