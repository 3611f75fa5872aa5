//! Which of the server's warnings an operator has not been told yet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Texts that are remembered. A program that meets more different ones tells some of them again.
const KEPT: usize = 100;

/// Repetitions of one warning are told again after this many, so that a log of today shows what lasts.
const REMIND_AFTER: u32 = 1000;

/// A warning that did not come for so long is news when it comes again: what it was about has ended meanwhile. Longer than the
/// periods of pgqd's loops, whose warnings come once in each.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// One warning.
#[derive(Debug)]
struct Known {
    /// How often it came since it was told.
    repetitions: u32,
    last: Instant,
}

/// The warnings of one connection.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    known: HashMap<String, Known>,
}

impl Warnings {
    /// Notes a warning that came `now`; true if it is to be told: it is new, or was told long ago.
    pub fn is_news(&mut self, text: &str, now: Instant) -> bool {
        let text = without_numbers(text);
        if let Some(known) = self.known.get_mut(&text) {
            let forgotten = now.duration_since(known.last) > FORGOTTEN_AFTER;
            known.last = now;
            known.repetitions += 1;
            if !forgotten && known.repetitions < REMIND_AFTER {
                return false;
            }
            known.repetitions = 0;
            return true;
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(text, Known { repetitions: 0, last: now });
        true
    }
}

/// What two warnings about the same thing have in common: transaction ids and times change, names in quotes do not.
fn without_numbers(text: &str) -> String {
    let mut quoted = false;
    text.chars()
        .filter(|c| {
            quoted ^= *c == '"';
            quoted || !c.is_ascii_digit()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_once_and_again_much_later() {
        let mut warnings = Warnings::default();
        let now = Instant::now();
        assert!(warnings.is_news("a", now) && warnings.is_news("b", now));
        let told = (0..2 * REMIND_AFTER).filter(|_| warnings.is_news("a", now)).count();
        assert_eq!(told, 2);
    }

    #[test]
    fn a_warning_that_had_stopped_is_told_again() {
        let mut warnings = Warnings::default();
        let mut now = Instant::now();
        assert!(warnings.is_news("a", now));
        now += FORGOTTEN_AFTER;
        assert!(!warnings.is_news("a", now));
        now += FORGOTTEN_AFTER + Duration::from_secs(1);
        assert!(warnings.is_news("a", now));
        assert!(!warnings.is_news("a", now));
    }

    #[test]
    fn numbers_make_no_news_but_names_do() {
        let mut warnings = Warnings::default();
        let now = Instant::now();
        assert!(warnings.is_news("queue \"q1\": txid=737", now));
        assert!(!warnings.is_news("queue \"q1\": txid=1741", now));
        assert!(warnings.is_news("queue \"q2\": txid=737", now));
    }

    #[test]
    fn very_many_different_ones_are_all_told_and_memory_is_bounded() {
        let mut warnings = Warnings::default();
        let now = Instant::now();
        assert!((0..10 * KEPT).all(|n| warnings.is_news(&format!("queue \"{n}\""), now)));
        assert!(warnings.known.len() <= KEPT);
    }
}
