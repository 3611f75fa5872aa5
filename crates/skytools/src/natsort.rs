//! Natural order: runs of digits compare as numbers, so `v1.9` comes before `v1.11`.

use std::cmp::Ordering;

/// Compares two texts in natural order. Leading zeros do not count; texts that differ only in them are ordered
/// by bytes, so that the order is total.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (Runs(a), Runs(b));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => compare_runs(x, y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Compares two texts in natural order without regard to case.
pub fn compare_ignore_case(a: &str, b: &str) -> Ordering {
    compare(&a.to_lowercase(), &b.to_lowercase())
}

/// Sorts in natural order.
pub fn sort<T: AsRef<str>>(items: &mut [T]) {
    items.sort_by(|a, b| compare(a.as_ref(), b.as_ref()));
}

fn compare_runs(a: &str, b: &str) -> Ordering {
    let numeric = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    match (numeric(a), numeric(b)) {
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        _ => a.cmp(b),
    }
}

/// Splits into runs of digits and of other characters.
struct Runs<'a>(&'a str);

impl<'a> Iterator for Runs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let digit = self.0.chars().next()?.is_ascii_digit();
        let end = self.0.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions() {
        let mut names = ["ver-1.1", "ver-1.11", "", "ver-1.0"];
        sort(&mut names);
        assert_eq!(names, ["", "ver-1.0", "ver-1.1", "ver-1.11"]);
        assert_eq!(compare("a007", "a7b"), Ordering::Less);
        assert_eq!(compare("99999999999999999999999", "100000000000000000000000"), Ordering::Less);
        assert_eq!(compare_ignore_case("B1", "a2"), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn total_order(a in "[a0-2.]{0,6}", b in "[a0-2.]{0,6}", c in "[a0-2.]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
