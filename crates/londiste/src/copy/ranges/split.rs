//! Dividing a table into ranges of blocks, and the conditions that read them. No I/O.

use crate::snapshot::Snapshot;

/// A range is at least this large: each costs a commit and the start of a COPY.
const SMALLEST: u64 = 16 << 20;
/// A range is at most this large: a kill costs at most one range per connection, and the removal of a table waits
/// for the ranges under way.
const LARGEST: u64 = 256 << 20;
/// Ranges aimed at, between the two.
const WANTED: u64 = 64;

/// Blocks from the first (inclusive) to the end (exclusive; `None`: whatever the table has grown to).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// First block.
    pub first: i64,
    /// Block after the last one.
    pub end: Option<i64>,
}

impl Blocks {
    /// The condition for the rows of these blocks.
    pub fn condition(self) -> String {
        let from = format!("ctid >= '({},0)'::pg_catalog.tid", self.first);
        match self.end {
            Some(end) => format!("{from} and ctid < '({end},0)'::pg_catalog.tid"),
            None => from,
        }
    }
}

/// Divides a table. `range_bytes` = 0: by its size.
pub fn split(table_bytes: u64, block_bytes: u64, range_bytes: u64) -> Vec<Blocks> {
    let block = block_bytes.max(1);
    let range = if range_bytes > 0 { range_bytes } else { (table_bytes / WANTED).clamp(SMALLEST, LARGEST) };
    let step = i64::try_from((range / block).max(1)).unwrap_or(i64::MAX);
    let total = i64::try_from(table_bytes / block).unwrap_or(i64::MAX);
    let mut ranges = Vec::new();
    let mut first: i64 = 0;
    loop {
        let end = first.saturating_add(step);
        // The last one is open, so it takes a small remainder with it.
        if end.saturating_add(step / 2) >= total {
            ranges.push(Blocks { first, end: None });
            return ranges;
        }
        ranges.push(Blocks { first, end: Some(end) });
        first = end;
    }
}

/// Rows written by a transaction that was not over, or had not begun, when the snapshot was taken, and some more that
/// are older. The column counts modulo 2³²; the answer for a given row version and snapshot never changes.
///
/// Ids of subtransactions are above those of their transactions, hence not below the snapshot's `xmin` either.
pub fn newer_than(snapshot: &Snapshot) -> String {
    let from = snapshot.xmin() & 0xffff_ffff;
    format!(
        "(xmin::pg_catalog.text::pg_catalog.int8 >= 3 and ((xmin::pg_catalog.text::pg_catalog.int8 - {from}) & 4294967295) < 2147483648)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_one_another_and_the_last_is_open() {
        for (bytes, range) in [
            (0, 0),
            (8192, 0),
            (300 << 20, 0),
            (20 << 30, 0),
            (2 << 40, 0),
            (100 * 8192, 8192),
            (7 * 8192, 3 * 8192),
        ] {
            let ranges = split(bytes, 8192, range);
            assert_eq!(ranges[0].first, 0);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end, Some(pair[1].first));
                assert!(pair[0].first < pair[1].first);
            }
            assert_eq!(ranges.iter().filter(|r| r.end.is_none()).count(), 1);
            assert_eq!(ranges[ranges.len() - 1].end, None);
        }
        assert_eq!(split(100 * 8192, 8192, 8192).len(), 100);
        assert_eq!(split(10 << 20, 8192, 0).len(), 1);
        assert_eq!(split(16 << 30, 8192, 0).len(), 64);
    }

    #[test]
    fn conditions_name_blocks() {
        let text = Blocks { first: 5, end: Some(9) }.condition();
        assert_eq!(text, "ctid >= '(5,0)'::pg_catalog.tid and ctid < '(9,0)'::pg_catalog.tid");
        assert!(Blocks { first: 5, end: None }.condition().ends_with("'(5,0)'::pg_catalog.tid"));
    }

    #[test]
    fn the_age_of_a_row_is_counted_modulo() {
        let snapshot: Snapshot = "4294967306:4294967310:".parse().unwrap();
        assert!(newer_than(&snapshot).contains("- 10) & 4294967295"));
    }
}
