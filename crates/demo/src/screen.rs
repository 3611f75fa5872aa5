//! What the person at the terminal sees: copy bars, events per second, lag. Plain lines where there is no terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::copying::TableCopy;
use crate::sample::{Sample, rate};

/// The display.
pub struct Screen {
    bars: MultiProgress,
    status: ProgressBar,
    copies: BTreeMap<String, ProgressBar>,
    terminal: bool,
    last: Option<Sample>,
    last_line: Instant,
}

impl Screen {
    /// A display on standard error.
    pub fn new() -> Self {
        let bars = MultiProgress::new();
        let status = bars.add(ProgressBar::new_spinner());
        status.set_style(style("{spinner} {msg}"));
        Screen {
            bars,
            status,
            copies: BTreeMap::new(),
            terminal: std::io::stderr().is_terminal(),
            last: None,
            last_line: Instant::now(),
        }
    }

    /// Says which step begins.
    pub fn step(&mut self, text: &str) {
        if self.terminal {
            self.bars.suspend(|| eprintln!("{text}"));
        } else {
            eprintln!("{text}");
        }
    }

    /// Shows how far the initial copies are.
    pub fn copies(&mut self, copies: &[TableCopy]) {
        for copy in copies {
            let bar = self.copies.entry(copy.table.clone()).or_insert_with(|| {
                let bar = self.bars.insert_before(&self.status, ProgressBar::new(copy.total));
                bar.set_style(style("  {prefix:40!} [{bar:30}] {pos:>9}/{len:<9} {msg}"));
                bar.set_prefix(copy.table.clone());
                bar
            });
            bar.set_message(copy.state.clone());
            if copy.done() {
                bar.set_position(copy.total);
                if !bar.is_finished() {
                    bar.finish();
                    if !self.terminal {
                        eprintln!("  {}: copied, state {}", copy.table, copy.state);
                    }
                }
            } else {
                bar.set_position(copy.rows.min(copy.total));
            }
        }
    }

    /// Shows throughput and lag; about four times a second on a terminal, every two seconds elsewhere.
    pub fn sample(&mut self, sample: &Sample) {
        let Some(last) = self.last else {
            self.last = Some(*sample);
            return;
        };
        let seconds = sample.at - last.at;
        if seconds < 0.5 {
            return;
        }
        let text = format!(
            "{:>6.1} s  written {:>7.0} events/s  replayed {:>7.0} events/s  lag {:>5.2} s",
            sample.at,
            rate(last.written, sample.written, seconds),
            rate(last.replayed, sample.replayed, seconds),
            sample.lag
        );
        if self.terminal {
            self.status.set_message(text);
            self.status.tick();
            self.last = Some(*sample);
        } else if self.last_line.elapsed() >= Duration::from_secs(2) {
            eprintln!("{text}");
            self.last_line = Instant::now();
            self.last = Some(*sample);
        }
    }

    /// Removes the bars before the verdict is printed.
    pub fn finish(&mut self) {
        self.status.finish_and_clear();
        for bar in self.copies.values() {
            bar.finish();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a default bar is the worst that a typing mistake could bring.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}
