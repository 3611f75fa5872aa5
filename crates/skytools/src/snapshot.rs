//! Transaction snapshots in text form: `xmin:xmax:xip,xip,…` (`txid_current_snapshot()`, `pg_current_snapshot()`).

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A set of finished transactions: all below `xmin`, and those below `xmax` that are not listed.
///
/// Ids are the 64-bit ones of `txid_current()`; only ids of top-level transactions occur.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    xmin: i64,
    xmax: i64,
    running: Vec<i64>,
}

impl Snapshot {
    /// Every transaction below this id had finished.
    pub fn xmin(&self) -> i64 {
        self.xmin
    }

    /// No transaction from this id on had begun.
    pub fn xmax(&self) -> i64 {
        self.xmax
    }

    /// Whether the effects of the (committed) transaction are visible in this snapshot.
    pub fn contains(&self, txid: i64) -> bool {
        txid < self.xmin || (txid < self.xmax && self.running.binary_search(&txid).is_err())
    }

    /// Whether no transaction that is still invisible in `later` can be visible in this snapshot.
    ///
    /// When `later` is the snapshot of the tick that begins a batch, no event of that batch, or of any batch after
    /// it, can be in the copied rows: the snapshot has done its work and may be forgotten.
    pub fn is_superseded_by(&self, later: &Snapshot) -> bool {
        // A transaction left open for long would make the range long; then the answer may wait.
        later.xmin >= self.xmax
            || (self.xmax - later.xmin < 100_000
                && (later.xmin..self.xmax).all(|txid| !self.contains(txid) || later.contains(txid)))
    }
}

impl FromStr for Snapshot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::data(format!("\"{text}\" is not a transaction snapshot (xmin:xmax:list)"));
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(list), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let number = |part: &str| part.parse::<i64>().map_err(|e| bad().with_source(e));
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let mut running =
            list.split(',').filter(|part| !part.is_empty()).map(number).collect::<Result<Vec<_>>>()?;
        running.sort_unstable();
        if xmin < 0 || xmax < xmin || running.iter().any(|&txid| txid < xmin || txid >= xmax) {
            return Err(bad());
        }
        Ok(Snapshot { xmin, xmax, running })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (i, txid) in self.running.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{txid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn visibility_follows_the_documented_rule() {
        let s = snapshot("10:20:12,15");
        for seen in [1, 9, 10, 11, 13, 14, 16, 19] {
            assert!(s.contains(seen), "{seen}");
        }
        for unseen in [12, 15, 20, 21, i64::MAX] {
            assert!(!s.contains(unseen), "{unseen}");
        }
    }

    #[test]
    fn text_form_round_trips() {
        for text in ["10:20:12,15", "10:10:", "7:9:8"] {
            assert_eq!(snapshot(text).to_string(), text);
        }
        assert_eq!(snapshot("10:20:15,12").to_string(), "10:20:12,15");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "1:2", "1:2:3:4", "a:b:", "5:2:", "1:2:x", "-1:2:", "1:5:7", "1:5:2,x", "2:5:1"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_later_tick_supersedes_only_when_every_seen_transaction_is_behind_it() {
        let copy = snapshot("10:20:12");
        assert!(copy.is_superseded_by(&snapshot("20:25:")));
        // 12 was running during the copy: its events are wanted, whenever they come.
        assert!(copy.is_superseded_by(&snapshot("12:30:12")));
        // 11 is in the copied rows but the tick has not seen it: its events are still to come.
        assert!(!copy.is_superseded_by(&snapshot("11:30:11")));
        assert!(!copy.is_superseded_by(&snapshot("9:18:")));
    }
}
