//! Progress bars for people at a terminal. Elsewhere (daemons, pipes, CI) they draw nothing and cost nothing.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A group of bars below each other.
#[derive(Debug, Clone)]
pub struct Progress {
    bars: MultiProgress,
    visible: bool,
}

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as KiB, MiB, …
    Bytes,
    /// Rows, events or anything else.
    Items(&'static str),
}

impl Progress {
    /// Bars on standard error when that is a terminal.
    pub fn stderr() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }

    /// Bars that are never drawn.
    pub fn hidden() -> Self {
        Self::new(false)
    }

    fn new(visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bars: MultiProgress::with_draw_target(target), visible }
    }

    /// Whether bars are drawn.
    pub fn is_visible(&self) -> bool {
        self.visible
    }

    /// Adds a bar; without a total it only counts.
    pub fn add(&self, name: &str, total: Option<u64>, unit: Unit) -> Bar {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let (count, rate, unit_name) = match unit {
            Unit::Bytes => ("{bytes} of {total_bytes}", "{bytes_per_sec}", ""),
            Unit::Items(name) => ("{human_pos} of {human_len}", "{per_sec}", name),
        };
        let template = if total.is_some() {
            format!("{{prefix:24!}} {{wide_bar}} {count} {unit_name} {rate} {{eta}}")
        } else {
            let counted = count.split(' ').next().unwrap_or(count);
            format!("{{prefix:24!}} {{spinner}} {counted} {unit_name} {rate} {{msg}}")
        };
        // A template that indicatif rejects would only cost the looks of the bar.
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(bar.with_style(style).with_prefix(name.to_owned()));
        if self.visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Bar(bar)
    }

    /// Writes a line above the bars; without bars it goes to standard error as it is.
    pub fn line(&self, text: &str) {
        if !self.visible || self.bars.println(text).is_err() {
            // Nowhere is left to report that standard error is gone.
            drop(writeln!(std::io::stderr(), "{text}"));
        }
    }

    /// Runs something that writes to the terminal, with the bars out of the way.
    pub fn suspend<T>(&self, action: impl FnOnce() -> T) -> T {
        self.bars.suspend(action)
    }
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Counts some more.
    pub fn add(&self, amount: u64) {
        self.0.inc(amount);
    }

    /// Sets what has been counted.
    pub fn set(&self, position: u64) {
        self.0.set_position(position);
    }

    /// Sets the total, once it is known or has changed.
    pub fn set_total(&self, total: u64) {
        self.0.set_length(total);
    }

    /// Sets the text at the end of a bar without total.
    pub fn message(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// What has been counted so far.
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// Leaves the bar as it is, complete.
    pub fn finish(&self) {
        self.0.finish();
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_bars_count() {
        let progress = Progress::hidden();
        for (total, unit) in [(Some(10), Unit::Bytes), (None, Unit::Items("rows"))] {
            let bar = progress.add("t", total, unit);
            bar.add(3);
            bar.add(4);
            assert_eq!(bar.position(), 7);
            bar.finish();
        }
        assert!(!progress.is_visible());
    }
}
