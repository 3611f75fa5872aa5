//! What is known and under way for one table. No I/O.

use std::sync::Arc;

use pgq::Event;
use pgq::change::{Op, RowChange};
use tokio_postgres::Statement;

use super::accept::Rules;
use super::decide::{Facts, Mode, Why};
use super::fold::SetSql;
use super::layout::{Layout, key_is};
use super::net::Net;
use super::quick::Quick;
use crate::apply::pipeline::Counts;
use crate::apply::target::TableShape;

/// Changes of a table below this number go one by one: then the fixed cost of the set statements is not earned back.
/// Measured: `docs/how-apply-works.md`.
pub const FEW_CHANGES: usize = 100;
/// Fewer changes than that with more bytes go one by one as well: the bytes cost more than the statements.
pub const FEW_BYTES: usize = 4 << 20;

/// The temporary tables of one table, as they exist in the session.
#[derive(Debug)]
pub struct Stage {
    pub layout: Layout,
    pub sql: SetSql,
    /// COPY into the stage.
    pub copy: Statement,
    /// COPY straight into the table.
    pub direct: Option<Statement>,
    /// Batch in which they were created: gone if that is rolled back.
    pub born: u64,
    /// Batch in which they were filled last: what is in them stays until its commit.
    pub filled: u64,
}

/// Changes that are folded in memory.
#[derive(Debug)]
pub struct InMemory {
    pub net: Net,
    pub rules: Rules,
    /// Events that need not be taken apart.
    pub quick: Option<Arc<Quick>>,
    /// Layout of the rows in it.
    pub layout: Layout,
    /// Its number.
    pub numbered: u64,
}

/// A table as far as sets are concerned.
#[derive(Debug)]
pub struct SetTable {
    pub facts: Facts,
    pub mode: Mode,
    pub stage: Option<Stage>,
    /// Layout of the events under way.
    pub layout: Option<Layout>,
    /// Counts layouts, so that they need not be compared for every event.
    pub layouts: u64,
    /// Changes are folded in memory as long as that goes well in this batch.
    pub may_fold: bool,
    /// Changes folded in memory.
    pub folded: Option<InMemory>,
    /// Only deletes have been seen with that layout, so it binds nobody.
    pub only_deletes: bool,
    /// Why the rest of the batch goes in order.
    pub sticky: Option<Why>,
    /// The first changes, until there are enough.
    pub waiting: Vec<Event>,
    pub waiting_bytes: usize,
    /// Changes are being staged.
    pub staging: bool,
    /// Lines for the stage that have not been sent.
    pub rows: String,
    /// Place of the next change in the order.
    pub next_place: u64,
    /// What has been staged and not been applied.
    pub staged: Counts,
    /// Changes of this batch applied by set and in order.
    pub by_set: u64,
    pub in_order: u64,
    /// Those of `by_set` that were folded by the server.
    pub by_stage: u64,
}

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Take {
    /// Keep or stage it.
    Keep,
    /// It changes nothing.
    Unchanged,
    /// It and the rest of the batch go in order.
    Refuse(Why),
}

impl SetTable {
    pub fn new(facts: Facts) -> Self {
        SetTable {
            mode: super::decide::decide(&facts),
            facts,
            stage: None,
            layout: None,
            layouts: 0,
            may_fold: true,
            folded: None,
            only_deletes: true,
            sticky: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            staging: false,
            rows: String::new(),
            next_place: 0,
            staged: Counts::default(),
            by_set: 0,
            in_order: 0,
            by_stage: 0,
        }
    }

    /// To be called when a batch begins for the table.
    pub fn begin(&mut self) {
        self.sticky = None;
        self.by_set = 0;
        self.in_order = 0;
        self.by_stage = 0;
        self.may_fold = true;
        self.forget();
    }

    /// Drops what is under way.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.staging = false;
        self.folded = None;
        self.rows.clear();
        self.staged = Counts::default();
        self.only_deletes = true;
    }

    /// Whether anything waits to be applied.
    pub fn is_pending(&self) -> bool {
        self.staging || self.folded.is_some() || !self.waiting.is_empty()
    }

    /// Looks at an event's form.
    pub fn take(&mut self, change: &RowChange<'_>, shape: &TableShape) -> Take {
        if change.op != Op::Insert && !key_is(change, &self.facts) {
            return Take::Refuse(Why::EventKey);
        }
        let fits = self.layout.as_ref().is_some_and(|layout| layout.fits(change));
        if change.op == Op::Delete && self.layout.is_some() {
            // Only its key counts, but a column that is not here is an error there as well.
            let known = fits || change.columns.iter().all(|(name, _)| shape.column(name).is_some());
            return if known { Take::Keep } else { Take::Refuse(Why::EventColumns) };
        }
        if !fits {
            if self.is_pending() && !self.only_deletes {
                return Take::Refuse(Why::EventColumns);
            }
            match Layout::of(change, shape, &self.facts) {
                Ok(layout) => {
                    self.layout = Some(layout);
                    self.layouts += 1;
                }
                Err(why) => return Take::Refuse(why),
            }
        }
        if change.op == Op::Delete {
            return Take::Keep;
        }
        if change.op == Op::Update && !writes_anything(change, shape, &self.facts) {
            return Take::Unchanged;
        }
        self.only_deletes = false;
        Take::Keep
    }

    /// Adds an event to the lines of the stage.
    pub fn stage_event(&mut self, change: &RowChange<'_>) {
        let Some(layout) = &self.layout else { return };
        layout.encode(change, self.next_place, &mut self.rows);
        self.next_place += 1;
        self.only_deletes &= change.op == Op::Delete;
        match change.op {
            Op::Insert => self.staged.inserts += 1,
            Op::Update => self.staged.updates += 1,
            Op::Delete | Op::Truncate => self.staged.deletes += 1,
        }
    }

    /// What the log says about the batch.
    pub fn describe(&self, name: &Arc<str>) -> String {
        let why = match (&self.sticky, &self.mode) {
            (Some(why), _) | (None, Mode::Ordered(why)) => why.to_string(),
            (None, Mode::Set) => Why::FewChanges.to_string(),
        };
        let staged = match self.by_stage {
            0 => String::new(),
            all if all == self.by_set => " (staged)".to_owned(),
            some => format!(" ({some} of them staged)"),
        };
        match (self.by_set, self.in_order) {
            (set, 0) => format!("{name}: {set} by set{staged}"),
            (0, ordered) => format!("{name}: {ordered} in order ({why})"),
            (set, ordered) => format!("{name}: {set} by set{staged}, {ordered} in order ({why})"),
        }
    }
}

/// Whether an update sets any column: not if the event has only exact key columns, generated and identity ones.
fn writes_anything(change: &RowChange<'_>, shape: &TableShape, facts: &Facts) -> bool {
    change.columns.iter().any(|(name, _)| writes(name, shape, facts))
}

/// Whether an update writes the column.
pub fn writes(name: &str, shape: &TableShape, facts: &Facts) -> bool {
    shape.column(name).is_some_and(|c| {
        !c.generated && !c.identity_always && (c.inexact || !facts.key().iter().any(|k| k == name))
    })
}
