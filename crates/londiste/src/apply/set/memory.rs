//! Folding a table's changes in memory, as long as that cannot be told apart from ordered replay.

use std::sync::Arc;

use pgq::Event;
use pgq::change::{self, Op, RowChange};
use skytools::{Error, ErrorKind, Result};

use super::accept::Rules;
use super::decide::Mode;
use super::flush::{self, Flush};
use super::layout::Layout;
use super::net::{Fate, Folding, Net};
use super::quick::{Line, Quick};
use super::state::InMemory;
use crate::apply::Applier;

impl Applier<'_> {
    /// Begins to take the table's changes as a set, those that wait first; false when it cannot be one.
    pub(super) async fn begin_set(&mut self, table: usize) -> Result<bool> {
        if !self.open_set(table).await? {
            return Ok(false);
        }
        let set = &mut self.tables.known[table].set;
        self.waiting_bytes -= set.waiting_bytes;
        set.waiting_bytes = 0;
        for event in std::mem::take(&mut set.waiting) {
            if let Some(change) = change::decode(&event)? {
                self.take_in(table, &event, &change).await?;
            }
        }
        Ok(true)
    }

    /// Makes sure of the stage, and that changes are folded in memory or staged; false when there is no stage.
    async fn open_set(&mut self, table: usize) -> Result<bool> {
        if !self.ensure_stage(table).await? {
            return Ok(false);
        }
        let known = &mut self.tables.known[table];
        let set = &mut known.set;
        let rules = |layout: &Layout| Rules::new(&known.shape, &set.facts, &layout.staged_names());
        let folds = set.layout.as_ref().filter(|_| set.may_fold);
        match folds.and_then(|layout| Some((rules(layout)?, layout.clone()))) {
            Some((rules, layout)) => {
                let quick = Quick::new(&layout, &known.shape, &set.facts).map(Arc::new);
                set.folded = Some(InMemory { net: Net::new(), rules, quick, layout, numbered: set.layouts });
            }
            None => set.staging = true,
        }
        Ok(true)
    }

    /// Takes in one change of a table that is a set.
    pub(super) async fn take_in(
        &mut self,
        table: usize,
        event: &Event,
        change: &RowChange<'_>,
    ) -> Result<()> {
        let set = &self.tables.known[table].set;
        if set.folded.as_ref().is_some_and(|folded| folded.numbered != set.layouts) {
            self.follow_layout(table).await?;
        }
        let known = &mut self.tables.known[table];
        let Some(folded) = &mut known.set.folded else {
            return self.stage(table, change).await;
        };
        self.scratch.clear();
        let canonical = folded.layout.encode_key(change, &folded.rules, &mut self.scratch);
        let key = self.scratch.len();
        if canonical && change.op != Op::Delete {
            folded.layout.encode_row(change, &mut self.scratch);
        }
        let before = folded.net.bytes();
        let (key, row) = self.scratch.as_bytes().split_at(key);
        let folding =
            if canonical { folded.net.fold(change.op, key, row, &folded.rules) } else { Folding::Refused };
        match folding {
            Folding::Done => {}
            Folding::Conflict => {
                let name = Arc::clone(&known.name);
                let error = Error::data(format!(
                    "event {} inserts a row into {name} that an earlier event inserted or updated",
                    event.id()
                ));
                return Err(self.set_failure(&name, error, "folding changes"));
            }
            Folding::Refused => {
                known.set.may_fold = false;
                self.flush_folded(table, false).await?;
                if !self.begin_staging(table).await? {
                    return Err(Error::new(ErrorKind::Internal, "the stage of a table is gone"));
                }
                return self.stage(table, change).await;
            }
        }
        let held = folded.net.bytes();
        known.set.only_deletes &= change.op == Op::Delete;
        self.folded_bytes += held - before;
        if self.scratch.capacity() > LARGE {
            self.scratch = String::new();
        }
        self.after_folding().await
    }

    /// As [`Applier::apply`], straight from an event that every handler of its table would have applied; false when
    /// it has to be decoded and applied, nothing having been done.
    ///
    /// # Errors
    /// The failure of an earlier change.
    pub async fn apply_quickly(&mut self, event: &Event, dest: &str) -> Result<bool> {
        if !self.sets || !self.fold_quickly(event, dest) {
            return Ok(false);
        }
        self.after_folding().await?;
        Ok(true)
    }

    /// See [`Applier::apply_quickly`]. Everything that [`Applier::offer`] looks at is settled by the layout, or the
    /// change is left to it.
    fn fold_quickly(&mut self, event: &Event, dest: &str) -> bool {
        let Some(&table) = self.tables.by_name.get(dest) else { return false };
        let known = &mut self.tables.known[table];
        let set = &mut known.set;
        if known.checked_in != self.tables.batch || !matches!(set.mode, Mode::Set) || set.sticky.is_some() {
            return false;
        }
        let Some(folded) = set.folded.as_mut().filter(|folded| folded.numbered == set.layouts) else {
            return false;
        };
        let (Some(quick), Some(ev_type), Some(data)) =
            (&folded.quick, event.type_bytes(), event.data_slice())
        else {
            return false;
        };
        let Some(op) = quick.op(ev_type) else { return false };
        if !quick.encode(data, &folded.rules, &mut self.line) {
            return false;
        }
        let before = folded.net.bytes();
        // Whatever stands in the way of folding has changed nothing, and is met again.
        if folded.net.fold(op, &self.line.key, &self.line.row, &folded.rules) != Folding::Done {
            return false;
        }
        self.folded_bytes += folded.net.bytes() - before;
        set.only_deletes &= op == Op::Delete;
        if data.len() > LARGE {
            self.line = Line::default();
        }
        true
    }

    /// To be done now and then while changes are folded.
    async fn after_folding(&mut self) -> Result<()> {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(64) {
            self.pipeline.nudge()?;
        }
        if self.folded_bytes > self.memory {
            let held = |t: &usize| self.tables.known[*t].set.folded.as_ref().map_or(0, |f| f.net.bytes());
            let largest = self.pending.iter().copied().max_by_key(held);
            if let Some(largest) = largest {
                self.flush_folded(largest, true).await?;
            }
        }
        Ok(())
    }

    /// The rows have other columns from here on, which happens only after nothing but deletes.
    async fn follow_layout(&mut self, table: usize) -> Result<()> {
        self.flush_folded(table, false).await?;
        if !self.open_set(table).await? {
            return Err(Error::new(ErrorKind::Internal, "a stage cannot follow its events"));
        }
        Ok(())
    }

    /// Begins to write what is folded of one table; with `go_on`, more will be.
    pub(super) async fn flush_folded(&mut self, table: usize, go_on: bool) -> Result<()> {
        let set = &mut self.tables.known[table].set;
        let Some(folded) = set.folded.take() else { return Ok(()) };
        self.folded_bytes -= folded.net.bytes();
        if go_on {
            let (rules, layout, quick) = (folded.rules.clone(), folded.layout.clone(), folded.quick.clone());
            set.folded = Some(InMemory { net: Net::new(), rules, quick, layout, numbered: folded.numbered });
        }
        if folded.net.is_empty() {
            return Ok(());
        }
        set.by_set += folded.net.counts.total();
        self.pipeline.count(folded.net.counts);
        set.only_deletes = true;
        // The stage is made for the rows that are in it.
        let newer = (folded.numbered != set.layouts).then(|| set.layout.replace(folded.layout.clone()));
        let direct = set.stage.as_ref().and_then(|stage| stage.direct.clone());
        let staged = direct.is_none() || folded.net.any(|fate| fate != Fate::Insert);
        if staged && !self.ensure_stage(table).await? {
            return Err(Error::new(ErrorKind::Internal, "folded changes without a stage"));
        }
        if let Some(newer) = newer {
            self.tables.known[table].set.layout = newer;
        }
        let batch = self.tables.batch;
        let known = &mut self.tables.known[table];
        let Some(stage) = &mut known.set.stage else {
            return Err(Error::new(ErrorKind::Internal, "folded changes without a stage"));
        };
        let staged = staged.then(|| {
            stage.filled = batch;
            (stage.copy.clone(), flush::statements(&folded.net, &stage.sql.net))
        });
        let direct = direct.filter(|_| folded.net.any(flush::inserts));
        let flush = Flush { net: folded.net, staged, direct, key_places: folded.layout.key_places() };
        let (client, name) = (self.pipeline.client(), Arc::clone(&known.name));
        self.pipeline.change_by_set(flush.run(client), name).await
    }
}

/// Room for a line that is kept from one change to the next.
const LARGE: usize = 1 << 20;
