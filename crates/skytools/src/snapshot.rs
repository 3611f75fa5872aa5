//! Transaction snapshots in text form: `xmin:xmax:xip,xip,…` (`txid_current_snapshot()`, `pg_current_snapshot()`).

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Which transactions were finished at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    /// In progress, sorted.
    xip: Vec<u64>,
}

impl Snapshot {
    /// All transactions below are finished.
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// The first transaction id not yet assigned.
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Transactions in progress, sorted.
    pub fn in_progress(&self) -> &[u64] {
        &self.xip
    }

    /// Whether the transaction was finished, so that its effects (if it committed) are visible.
    pub fn contains(&self, txid: u64) -> bool {
        txid < self.xmin || (txid < self.xmax && self.xip.binary_search(&txid).is_err())
    }
}

impl FromStr for Snapshot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || Error::data(format!("malformed snapshot: {text}"));
        let number = |part: &str| part.parse::<u64>().map_err(|_| malformed());
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(list), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let mut xip = list.split(',').filter(|_| !list.is_empty()).map(number).collect::<Result<Vec<_>>>()?;
        xip.sort_unstable();
        if xmin > xmax || xip.iter().any(|&txid| txid < xmin || txid >= xmax) {
            return Err(malformed());
        }
        Ok(Snapshot { xmin, xmax, xip })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (index, txid) in self.xip.iter().enumerate() {
            write!(f, "{}{txid}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains() {
        let snapshot: Snapshot = "11:20:11,12,15".parse().unwrap();
        let seen: Vec<bool> = [9, 11, 17, 20].into_iter().map(|txid| snapshot.contains(txid)).collect();
        assert_eq!(seen, [true, false, true, false]);
        assert_eq!(snapshot.to_string(), "11:20:11,12,15");
        let empty: Snapshot = "5:5:".parse().unwrap();
        assert!(empty.contains(4) && !empty.contains(5));
    }

    #[test]
    fn malformed() {
        for bad in ["", "1", "1:2", "1:2:3:4", "a:2:", "3:2:", "1:5:7", "1:5:2,", "-1:2:", "2:5:1"] {
            assert!(bad.parse::<Snapshot>().is_err(), "{bad}");
        }
    }
}
