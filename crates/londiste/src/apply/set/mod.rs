//! Set-based apply: a table's changes of a batch are folded to their net effect on each key, and applied as one DELETE, one
//! UPDATE and one INSERT or COPY.
//!
//! ```text
//!  event ─▶ few so far? ── keep ─────────────── end of batch: in order after all
//!             │ enough
//!             ▼
//!           the key's text is its value (`accept`)? ── no ──▶ line of COPY ─▶ stage (temporary table: every
//!             │ yes                                     ▲                       │      event, numbered)
//!             ▼                                         │ from here on          │ barrier or end of batch
//!           fold in memory (`net`): one row per key ────┘                       ▼
//!             │ barrier,              supersedes what the                     fold (temporary table: one row
//!             │ end of batch,         table might refuse                        │   per key, grouped by the server)
//!             │ or memory is full                                               ▼
//!             ▼                                                               delete … using fold · update … from
//!           `flush`: only inserts ─ COPY ─▶ table                             fold, stage · insert … select
//!                    the rest ─ COPY ─▶ stage ─▶ delete … using · update … from
//! ```
//!
//! It is chosen per table (`decide`) and per batch, and only where it cannot be told apart from ordered replay. Whatever
//! goes wrong on this way (a row that is here already, a value that does not fit) rolls the batch back and has it replayed
//! in order, which succeeds or names the event: the set statements never have to explain an error. The rules, and why
//! they suffice, are in `docs/how-apply-works.md`.
//!
//! Memory: what waits to be sent is bounded in bytes over all tables; the events themselves are in the stage, which is
//! on the server's disk. The temporary tables live as long as the session and are emptied by their commit, in place,
//! so that a batch writes nothing to the catalog.

mod accept;
mod decide;
mod facts;
mod flush;
mod fold;
mod layout;
mod memory;
mod net;
mod quick;
mod state;

use std::sync::Arc;

use bytes::Bytes;
use pgq::Event;
use pgq::change::{self, Op, RowChange};
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::SimpleQueryMessage;

pub(super) use decide::Facts;
pub use decide::{Mode, Why};
pub use facts::Explainer;
pub(super) use facts::STAMP;
pub(super) use quick::Line;
pub use state::FEW_CHANGES;
pub(super) use state::SetTable;

use self::state::{FEW_BYTES, Stage, Take};
use super::pipeline::Counts;
use super::{Applier, Tables};

/// Lines of one table are sent when there are this many bytes of them.
const CHUNK: usize = 512 << 10;
/// Lines of all tables together; the largest is sent before there are more.
const MAX_LINES: usize = 8 << 20;
/// Indexed values of more bytes are left to ordered replay: an index takes some 2 700.
const MAX_INDEXED: u64 = 2_000;
/// Changes of all tables that wait for more of their table, in bytes.
const MAX_WAITING: usize = 16 << 20;
/// Memory of changes that are folded, of all tables. As much again may be on its way to the server.
pub(super) const MAX_FOLDED: usize = 44 << 20;
/// Temporary tables are kept for so many tables of a session.
const MAX_STAGES: usize = 200;

/// What the fold says.
#[derive(Debug, Default)]
struct Folded {
    missing: u64,
    maybe_missing: u64,
    found: u64,
    conflict: bool,
}

impl Folded {
    /// Takes in one row of an answer.
    fn read(&mut self, row: &tokio_postgres::SimpleQueryRow) -> Result<()> {
        let number = |at: usize| -> Result<u64> {
            let text = row.try_get(at)?.unwrap_or_default();
            text.parse().map_err(|e| Error::data(format!("\"{text}\" is not a count")).with_source(e))
        };
        match row.try_get(0)? {
            Some("fold") => {
                self.missing = number(1)?;
                self.maybe_missing = number(2)?;
                self.conflict |= row.try_get(3)? == Some("t");
            }
            // Perhaps too large for an index: ordered replay shows.
            Some("size") => self.conflict |= number(1)? > MAX_INDEXED,
            Some("ghost") => self.conflict |= number(1)? > 0,
            Some("found") => self.found += number(1)?,
            _ => {}
        }
        Ok(())
    }
}

impl Tables {
    /// To be called after a rollback, before the connection is used for another attempt. If it was the set path that
    /// failed, that table goes in order as long as the session lasts or until it is altered; returns its name.
    pub fn after_rollback(&mut self, error: &Error) -> Option<Arc<str>> {
        for known in &mut self.known {
            known.set.forget();
            if known.set.stage.as_ref().is_some_and(|stage| stage.born >= self.began) {
                known.set.stage = None;
            }
        }
        let failed = self.set_failed.take()?;
        let known = self.known.iter_mut().find(|k| k.name == failed)?;
        known.set.mode = Mode::Ordered(Why::Failed(error.chain()));
        Some(failed)
    }

    /// Whether the last failure was one of the set path, so that ordered replay may succeed or name the event.
    pub fn set_has_failed(&self) -> bool {
        self.set_failed.is_some()
    }
}

impl Applier<'_> {
    /// Offers a change to the set path; false when it is to be applied in order, now.
    pub(super) async fn offer(
        &mut self,
        table: usize,
        event: &Event,
        change: &RowChange<'_>,
    ) -> Result<bool> {
        // A truncate takes dependants along; what a trigger does, nobody knows.
        let reaches = match &self.tables.known[table].set.mode {
            Mode::Ordered(why) => why.reaches_others(),
            Mode::Set => false,
        };
        let barrier = reaches || change.op == Op::Truncate;
        if barrier {
            self.flush_sets().await?;
        }
        let known = &mut self.tables.known[table];
        if barrier || known.set.mode != Mode::Set || known.set.sticky.is_some() {
            known.set.in_order += 1;
            return Ok(false);
        }
        match known.set.take(change, &known.shape) {
            Take::Keep => {}
            Take::Unchanged => {
                self.pipeline.count_unchanged();
                return Ok(true);
            }
            Take::Refuse(why) => {
                self.flush_set(table).await?;
                let set = &mut self.tables.known[table].set;
                set.sticky = Some(why);
                set.in_order += 1;
                return Ok(false);
            }
        }
        if !known.set.is_pending() {
            self.pending.push(table);
        }
        if !known.set.staging && known.set.folded.is_none() {
            let bytes = event.text_len();
            let few = known.set.waiting.len() < self.few;
            let small =
                known.set.waiting_bytes + bytes < FEW_BYTES && self.waiting_bytes + bytes < MAX_WAITING;
            if few && small {
                known.set.waiting.push(event.detached());
                known.set.waiting_bytes += bytes;
                self.waiting_bytes += bytes;
                return Ok(true);
            }
            if few || !self.begin_set(table).await? {
                self.flush_set(table).await?;
                self.tables.known[table].set.in_order += 1;
                return Ok(false);
            }
        }
        self.take_in(table, event, change).await?;
        Ok(true)
    }

    /// Begins to stage changes; false when the table cannot have a stage.
    async fn begin_staging(&mut self, table: usize) -> Result<bool> {
        if !self.ensure_stage(table).await? {
            return Ok(false);
        }
        self.tables.known[table].set.staging = true;
        Ok(true)
    }

    /// Adds one change to the lines of its table, and sends lines when there are enough.
    async fn stage(&mut self, table: usize, change: &RowChange<'_>) -> Result<()> {
        // The layout changes at most once, when the first row with values follows deletes.
        let set = &self.tables.known[table].set;
        if set.stage.as_ref().map(|s| &s.layout) != set.layout.as_ref() && !self.ensure_stage(table).await? {
            return Err(Error::new(ErrorKind::Internal, "a stage cannot follow its events"));
        }
        let set = &mut self.tables.known[table].set;
        let before = set.rows.len();
        set.stage_event(change);
        let length = set.rows.len();
        self.line_bytes += length - before;
        if length >= CHUNK {
            self.send_lines(table).await?;
        } else if self.line_bytes > MAX_LINES {
            let largest = self.pending.iter().copied().max_by_key(|&t| self.tables.known[t].set.rows.len());
            self.send_lines(largest.unwrap_or(table)).await?;
        }
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(64) {
            self.pipeline.nudge()?;
        }
        Ok(())
    }

    async fn send_lines(&mut self, table: usize) -> Result<()> {
        let known = &mut self.tables.known[table];
        let Some(stage) = &mut known.set.stage else { return Ok(()) };
        if known.set.rows.is_empty() {
            return Ok(());
        }
        stage.filled = self.tables.batch;
        let (copy, name) = (stage.copy.clone(), Arc::clone(&known.name));
        // Neighbouring runs of other tables may overtake: they are other tables.
        let lines = std::mem::take(&mut known.set.rows);
        self.line_bytes -= lines.len();
        known.set.rows.reserve(lines.len().min(CHUNK) + 4096);
        self.pipeline.copy(copy, Bytes::from(lines), name).await
    }

    /// Makes sure that there are temporary tables for the layout under way; false when there cannot be.
    async fn ensure_stage(&mut self, table: usize) -> Result<bool> {
        let (batch, began) = (self.tables.batch, self.tables.began);
        let known = &self.tables.known[table];
        if known.set.stage.as_ref().map(|s| &s.layout) == known.set.layout.as_ref() {
            if known.set.stage.as_ref().is_some_and(|s| s.filled >= began && !known.set.staging) {
                // Rows of an earlier round of this transaction, already applied.
                self.settle().await?;
                let stage = self.tables.known[table].set.stage.as_mut();
                if let Some(stage) = stage {
                    self.pipeline.client().batch_execute(&stage.sql.clear).await?;
                    stage.filled = 0;
                }
            }
            return Ok(true);
        }
        if known.set.staging {
            // Only deletes so far: they are applied first, then the stage is made anew.
            let layout = known.set.layout.clone();
            self.apply_set(table).await?;
            let set = &mut self.tables.known[table].set;
            set.layout = layout;
            set.staging = true;
        }
        self.settle().await?;
        let stages = self.tables.known.iter().filter(|k| k.set.stage.is_some()).count();
        self.tables.next_tag += 1;
        let tag = self.tables.next_tag;
        let known = &mut self.tables.known[table];
        if let Some(old) = known.set.stage.take() {
            self.tables.stale.push(old.sql.drop);
        } else if stages >= MAX_STAGES {
            known.set.sticky = Some(Why::ManyTables);
            return Ok(false);
        }
        let Some(layout) = known.set.layout.clone() else { return Ok(false) };
        let sql = match layout.sql(&known.shape, &known.set.facts, tag) {
            Ok(sql) => sql,
            Err(why) => {
                known.set.sticky = Some(why);
                return Ok(false);
            }
        };
        let client = self.pipeline.client();
        for drop in std::mem::take(&mut self.tables.stale) {
            client.batch_execute(&drop).await?;
        }
        let name = Arc::clone(&known.name);
        let prepared = async {
            client.batch_execute(&sql.create).await?;
            let direct = match &sql.net.direct {
                Some(direct) => Some(client.prepare(direct).await?),
                None => None,
            };
            Ok::<_, tokio_postgres::Error>((client.prepare(&sql.copy).await?, direct))
        };
        let (copy, direct) =
            prepared.await.map_err(|e| self.set_failure(&name, e.into(), "creating temporary tables"))?;
        self.tables.known[table].set.stage =
            Some(Stage { layout, sql, copy, direct, born: batch, filled: 0 });
        Ok(true)
    }

    /// Applies everything that waits or is staged, of all tables.
    pub(super) async fn flush_sets(&mut self) -> Result<()> {
        while let Some(&table) = self.pending.last() {
            self.flush_set(table).await?;
        }
        Ok(())
    }

    /// Applies what waits or is staged of one table.
    async fn flush_set(&mut self, table: usize) -> Result<()> {
        self.pending.retain(|&t| t != table);
        let set = &mut self.tables.known[table].set;
        if set.staging {
            return self.apply_set(table).await;
        }
        if set.folded.is_some() {
            return self.flush_folded(table, false).await;
        }
        let waiting = std::mem::take(&mut set.waiting);
        set.in_order += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
        self.waiting_bytes -= set.waiting_bytes;
        set.waiting_bytes = 0;
        set.only_deletes = true;
        for event in waiting {
            if let Some(change) = change::decode(&event)? {
                self.apply_in_order(table, &event, &change).await?;
            }
        }
        Ok(())
    }

    /// Applies what is staged of one table.
    async fn apply_set(&mut self, table: usize) -> Result<()> {
        self.send_lines(table).await?;
        self.settle().await?;
        let known = &mut self.tables.known[table];
        let name = Arc::clone(&known.name);
        let Some(stage) = &known.set.stage else {
            return Err(Error::new(ErrorKind::Internal, "staged changes without a stage"));
        };
        let staged = known.set.staged;
        let mut sql = vec![fold::settings(true), stage.sql.fold.clone()];
        if staged.deletes > 0 {
            sql.push(stage.sql.delete.clone());
        }
        if staged.updates > 0 {
            sql.extend(stage.sql.update.clone());
        }
        if staged.inserts > 0 {
            sql.push(stage.sql.insert.clone());
        }
        sql.push(fold::settings(false));
        let answer = self.pipeline.client().simple_query(&sql.join("; ")).await;
        let rows = answer.map_err(|e| self.set_failure(&name, e.into(), "applying changes as a set"))?;
        let mut folded = Folded::default();
        for row in &rows {
            if let SimpleQueryMessage::Row(row) = row {
                folded.read(row)?;
            }
        }
        if folded.conflict {
            let error = Error::data(format!(
                "an insert into {name} meets a row that is there already, or an indexed value is very large"
            ));
            return Err(self.set_failure(&name, error, "applying changes as a set"));
        }
        let missing_rows = folded.missing + folded.maybe_missing.saturating_sub(folded.found);
        self.pipeline.count(Counts { missing_rows, ..staged });
        let set = &mut self.tables.known[table].set;
        set.by_set += staged.total();
        set.by_stage += staged.total();
        set.forget();
        Ok(())
    }

    /// Remembers that it was the set path that failed, unless the connection or the server did.
    fn set_failure(&mut self, table: &Arc<str>, error: Error, doing: &str) -> Error {
        if !error.is_retryable() {
            self.tables.set_failed = Some(Arc::clone(table));
        }
        error.context(format!("{doing} of {table}"))
    }

    /// To be called with the error that ended the batch: was it met on the set path?
    pub fn note_failure(&mut self, error: &Error) {
        if let Some(table) = self.pipeline.failed_stage()
            && !error.is_retryable()
        {
            self.tables.set_failed = Some(table);
        }
    }

    /// How the tables of the batch were applied, for the log.
    pub fn describe(&self) -> String {
        let touched = self.tables.known.iter().filter(|k| k.set.by_set + k.set.in_order > 0);
        touched.map(|k| k.set.describe(&k.name)).collect::<Vec<_>>().join(", ")
    }
}
