//! Which of the server's warnings an operator has not been told yet.

use std::collections::HashMap;

/// Texts that are remembered. A program that meets more different ones tells some of them again.
const KEPT: usize = 100;

/// Repetitions of one warning are told again after this many, so that a log of today shows what lasts.
const REMIND_AFTER: u32 = 1000;

/// The warnings of one connection, and how often each came since it was told.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    repetitions: HashMap<String, u32>,
}

impl Warnings {
    /// Notes a warning; true if it is to be told: it is new, or was told long ago.
    pub fn is_news(&mut self, text: &str) -> bool {
        let text = without_numbers(text);
        if let Some(count) = self.repetitions.get_mut(&text) {
            *count += 1;
            if *count < REMIND_AFTER {
                return false;
            }
            *count = 0;
            return true;
        }
        if self.repetitions.len() >= KEPT {
            self.repetitions.clear();
        }
        self.repetitions.insert(text, 0);
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
        assert!(warnings.is_news("a") && warnings.is_news("b"));
        let told = (0..2 * REMIND_AFTER).filter(|_| warnings.is_news("a")).count();
        assert_eq!(told, 2);
    }

    #[test]
    fn numbers_make_no_news_but_names_do() {
        let mut warnings = Warnings::default();
        assert!(warnings.is_news("queue \"q1\": txid=737"));
        assert!(!warnings.is_news("queue \"q1\": txid=1741"));
        assert!(warnings.is_news("queue \"q2\": txid=737"));
    }

    #[test]
    fn very_many_different_ones_are_all_told_and_memory_is_bounded() {
        let mut warnings = Warnings::default();
        assert!((0..10 * KEPT).all(|n| warnings.is_news(&format!("queue \"{n}\""))));
        assert!(warnings.repetitions.len() <= KEPT);
    }
}
