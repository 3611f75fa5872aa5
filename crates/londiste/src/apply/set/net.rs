//! The changes of one table, folded in memory to what is left of them for each key. No I/O.
//!
//! What a key has been through, seen from the row that may or may not have been here before:
//!
//! ```text
//!              insert            update            delete
//!  nothing  ─▶ Insert            Update            Delete
//!  Insert   ─▶ (error)           Insert            Ghost      the row was not here
//!  Update   ─▶ (error)           Update            Delete     it may have been here
//!  Delete   ─▶ Replace           Delete, missed    Delete, missed
//!  Replace  ─▶ (error)           Replace           Delete     it may have been here, and is another now
//!  Ghost    ─▶ Insert            Ghost, missed     Ghost, missed
//! ```
//!
//! Keys are compared as texts, so only for types of which each value has one text. The bytes of keys and rows lie in
//! chunks that are never moved; what is superseded leaves a gap, which a newer row of that key fills if it is not longer.

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use pgq::change::Op;
use std::hash::BuildHasher;

use super::accept::Rules;
use crate::apply::pipeline::Counts;

const CHUNK: usize = 256 << 10;

/// What has to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Insert the row.
    Insert,
    /// Update the row.
    Update,
    /// Delete the row.
    Delete,
    /// Delete the row, then insert another.
    Replace,
    /// Nothing, but there may be no row of that key.
    Ghost,
}

/// Where some bytes lie.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    chunk: u32,
    start: u32,
    length: u32,
}

#[derive(Debug)]
struct Entry {
    fate: Fate,
    key: Place,
    row: Place,
    /// Bytes that the row may take where it is.
    room: u32,
    /// Changes that miss their row if there is none at first.
    early: u32,
}

/// What a change has met.
#[derive(Debug, PartialEq, Eq)]
pub enum Folding {
    /// It is in.
    Done,
    /// It would supersede a row of which only the server can tell whether the table takes it. Nothing has changed.
    Refused,
    /// It inserts a row that is there already.
    Conflict,
}

/// Folded changes.
#[derive(Debug)]
pub struct Net {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    chunks: Vec<Vec<u8>>,
    bytes: usize,
    hasher: DefaultHashBuilder,
    /// Events of each kind, and those that miss their row whatever is here.
    pub counts: Counts,
}

impl Net {
    pub fn new() -> Self {
        Net {
            index: HashTable::new(),
            entries: Vec::new(),
            chunks: Vec::new(),
            bytes: 0,
            hasher: DefaultHashBuilder::default(),
            counts: Counts::default(),
        }
    }

    /// Memory that is held.
    pub fn bytes(&self) -> usize {
        self.bytes
            + self.entries.capacity() * size_of::<Entry>()
            + self.index.capacity() * (size_of::<u32>() + 1)
    }

    fn put(&mut self, bytes: &[u8]) -> Place {
        let fits = self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes.len());
        if !fits {
            let chunk = Vec::with_capacity(bytes.len().max(CHUNK));
            self.bytes += chunk.capacity();
            self.chunks.push(chunk);
        }
        let at = self.chunks.len() - 1;
        let chunk = &mut self.chunks[at];
        let start = chunk.len();
        chunk.extend_from_slice(bytes);
        Place { chunk: short(at), start: short(start), length: short(bytes.len()) }
    }

    fn get(&self, place: Place) -> &[u8] {
        bytes_at(&self.chunks, place)
    }

    /// Takes in one change. `row` is its line of COPY; it is not looked at for a delete.
    pub fn fold(&mut self, op: Op, key: &[u8], row: &[u8], rules: &Rules) -> Folding {
        let hash = self.hasher.hash_one(key);
        let (entries, chunks) = (&self.entries, &self.chunks);
        let found = self.index.find(hash, |&at| bytes_at(chunks, entries[at as usize].key) == key).copied();
        let Some(at) = found else {
            self.add(hash, op, key, row);
            return Folding::Done;
        };
        let at = at as usize;
        let entry = &self.entries[at];
        let holds_row = matches!(entry.fate, Fate::Insert | Fate::Update | Fate::Replace);
        if op == Op::Insert && holds_row {
            return Folding::Conflict;
        }
        // The row that goes unseen: the older one, or that of an update which misses its row.
        let unseen = if holds_row { Some(self.get(entry.row)) } else { (op == Op::Update).then_some(row) };
        if unseen.is_some_and(|row| !rules.takes(row)) {
            return Folding::Refused;
        }
        self.count(op);
        let entry = &mut self.entries[at];
        match (op, entry.fate) {
            (Op::Insert, Fate::Ghost) => entry.fate = Fate::Insert,
            (Op::Insert, _) => entry.fate = Fate::Replace,
            (_, Fate::Delete | Fate::Ghost) => {
                self.counts.missing_rows += 1;
                return Folding::Done;
            }
            (Op::Update, Fate::Update) => entry.early += 1,
            (Op::Update, _) => {}
            (_, Fate::Insert) => entry.fate = Fate::Ghost,
            (_, Fate::Update) => {
                entry.early += 1;
                entry.fate = Fate::Delete;
            }
            (_, _) => entry.fate = Fate::Delete,
        }
        if op != Op::Delete {
            self.replace(at, row);
        }
        Folding::Done
    }

    fn add(&mut self, hash: u64, op: Op, key: &[u8], row: &[u8]) {
        self.count(op);
        let (fate, early) = match op {
            Op::Insert => (Fate::Insert, 0),
            Op::Update => (Fate::Update, 1),
            Op::Delete | Op::Truncate => (Fate::Delete, 1),
        };
        let key = self.put(key);
        let row = if fate == Fate::Delete { Place::default() } else { self.put(row) };
        let at = short(self.entries.len());
        self.entries.push(Entry { fate, key, row, room: row.length, early });
        let (entries, chunks, hasher) = (&self.entries, &self.chunks, &self.hasher);
        self.index.insert_unique(hash, at, |&at| hasher.hash_one(bytes_at(chunks, entries[at as usize].key)));
    }

    fn replace(&mut self, at: usize, row: &[u8]) {
        let Entry { row: old, room, .. } = self.entries[at];
        if row.len() <= room as usize {
            let start = old.start as usize;
            self.chunks[old.chunk as usize][start..start + row.len()].copy_from_slice(row);
            self.entries[at].row.length = short(row.len());
        } else {
            let place = self.put(row);
            let entry = &mut self.entries[at];
            (entry.row, entry.room) = (place, place.length);
        }
    }

    fn count(&mut self, op: Op) {
        match op {
            Op::Insert => self.counts.inserts += 1,
            Op::Update => self.counts.updates += 1,
            Op::Delete | Op::Truncate => self.counts.deletes += 1,
        }
    }

    /// Whether a key has a fate for which `wanted` holds.
    pub fn any(&self, wanted: impl Fn(Fate) -> bool) -> bool {
        self.entries.iter().any(|e| wanted(e.fate))
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One key after the other, in the order in which they were first met: fate, changes that miss their row if there is
    /// none, key, and row where it is still wanted.
    pub fn each(&self) -> impl Iterator<Item = (Fate, u32, &[u8], &[u8])> {
        self.entries.iter().map(|e| (e.fate, e.early, self.get(e.key), self.get(e.row)))
    }
}

fn bytes_at(chunks: &[Vec<u8>], place: Place) -> &[u8] {
    let start = place.start as usize;
    chunks.get(place.chunk as usize).map_or(&[], |chunk| &chunk[start..start + place.length as usize])
}

/// Sizes and numbers here are far below 4 GiB: an event is, and so is the memory that may be held.
fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or_else(|_| unreachable!("{n} is bounded by the size of an event"))
}

/// Lines, gathered into pieces of COPY.
#[derive(Debug, Default)]
pub struct Pieces {
    line: Vec<u8>,
}

impl Pieces {
    /// Appends to the piece under way.
    pub fn push(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
    }

    /// The piece, if it is large enough to be sent.
    pub fn full(&mut self) -> Option<Bytes> {
        (self.line.len() >= CHUNK).then(|| self.take())
    }

    /// The piece, whatever its size.
    pub fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::super::accept::tests::plain;
    use super::*;

    fn fold(net: &mut Net, ops: &str) -> Folding {
        let rules = plain();
        let mut last = Folding::Done;
        for (n, op) in ops.chars().enumerate() {
            let op = match op {
                'I' => Op::Insert,
                'U' => Op::Update,
                _ => Op::Delete,
            };
            last = net.fold(op, b"7", format!("7\tv{n}{}\n", "x".repeat(n)).as_bytes(), &rules);
        }
        last
    }

    /// Fate, early and certain misses after these changes of one key.
    fn after(ops: &str) -> (Fate, u32, u64) {
        let mut net = Net::new();
        assert_eq!(fold(&mut net, ops), Folding::Done, "{ops}");
        assert_eq!(net.counts.total(), u64::try_from(ops.len()).unwrap());
        let one: Vec<_> = net.each().map(|(fate, early, ..)| (fate, early)).collect();
        assert_eq!(one.len(), 1);
        (one[0].0, one[0].1, net.counts.missing_rows)
    }

    #[test]
    fn every_history_of_a_key_has_its_fate() {
        for (ops, fate, early, missing) in [
            ("I", Fate::Insert, 0, 0),
            ("IU", Fate::Insert, 0, 0),
            ("ID", Fate::Ghost, 0, 0),
            ("IDU", Fate::Ghost, 0, 1),
            ("IDD", Fate::Ghost, 0, 1),
            ("IDI", Fate::Insert, 0, 0),
            ("U", Fate::Update, 1, 0),
            ("UU", Fate::Update, 2, 0),
            ("UUD", Fate::Delete, 3, 0),
            ("D", Fate::Delete, 1, 0),
            ("DUD", Fate::Delete, 1, 2),
            ("DI", Fate::Replace, 1, 0),
            ("UDIU", Fate::Replace, 2, 0),
            ("DIDD", Fate::Delete, 1, 1),
            ("DIDI", Fate::Replace, 1, 0),
        ] {
            assert_eq!(after(ops), (fate, early, missing), "{ops}");
        }
        for ops in ["II", "UI", "DII", "IDII"] {
            assert_eq!(fold(&mut Net::new(), ops), Folding::Conflict, "{ops}");
        }
    }

    #[test]
    fn the_last_row_counts_wherever_it_lies() {
        let mut net = Net::new();
        let rules = plain();
        for row in ["7\tlong value\n", "7\tshort\n", "7\ta very much longer value\n", "7\tx\n"] {
            net.fold(Op::Update, b"7", row.as_bytes(), &rules);
            net.fold(Op::Update, b"8", b"8\tother\n", &rules);
            let rows: Vec<_> = net.each().map(|(.., row)| row.to_vec()).collect();
            assert_eq!(rows, [row.as_bytes(), b"8\tother\n"]);
        }
    }

    #[test]
    fn what_only_the_server_can_judge_is_not_superseded() {
        let (mut net, rules) = (Net::new(), plain());
        net.fold(Op::Insert, b"7", b"no number\tv\n", &rules);
        assert_eq!(net.fold(Op::Delete, b"7", b"", &rules), Folding::Refused);
        assert_eq!(net.fold(Op::Update, b"7", b"7\tv\n", &rules), Folding::Refused);
        assert_eq!(net.each().next().map(|(fate, ..)| fate), Some(Fate::Insert));
        assert_eq!(net.counts.total(), 1);
        let mut net = Net::new();
        fold(&mut net, "D");
        assert_eq!(net.fold(Op::Update, b"7", b"no number\tv\n", &rules), Folding::Refused);
    }

    #[test]
    fn memory_is_counted() {
        let (mut net, rules) = (Net::new(), plain());
        for n in 0..1000 {
            let row = format!("{n}\t{}\n", "x".repeat(1000));
            net.fold(Op::Insert, n.to_string().as_bytes(), row.as_bytes(), &rules);
        }
        assert!((1_000_000..2_000_000).contains(&net.bytes()), "{}", net.bytes());
        net.fold(Op::Insert, b"large", &vec![b'x'; 3 * CHUNK], &rules);
        assert!(net.bytes() > 1_000_000 + 3 * CHUNK);
        assert_eq!(net.each().count(), 1001);
    }
}
