//! Makes up a history while it is played: each step suits what the steps before it have led to.

use crate::change;
use crate::definitions;
use crate::dice::Dice;
use crate::postponed::{self, Part};
use crate::step::{Act, Form, QUEUE, Step};
use crate::world::{Effect, Role, World};

/// Isolation levels, the common one twice.
const LEVELS: &[&str] = &["read committed", "read committed", "repeatable read", "serializable"];

/// Makes up steps.
pub struct Generator {
    pub dice: Dice,
    pub world: World,
    pub form: Form,
    /// The server knows MERGE.
    pub merges: bool,
    names: usize,
    /// What is left of the transaction that each session is about to make on a table with a DEFERRABLE key.
    plans: Vec<Vec<(usize, Part)>>,
}

impl Generator {
    pub fn new(dice: Dice, world: World, form: Form, merges: bool) -> Generator {
        let plans = vec![Vec::new(); world.sessions.len()];
        Generator { dice, world, form, merges, names: 0, plans }
    }

    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn sql(session: usize, sql: impl Into<String>) -> Step {
        Step { session, act: Act::Sql(sql.into()) }
    }

    /// The next step of somebody who is not waiting. `draining` lets nothing new begin.
    pub fn next(&mut self, busy: &[bool], draining: bool) -> Option<(Step, Effect)> {
        let clerk = self.world.sessions.len();
        let free: Vec<usize> =
            (0..clerk).filter(|s| !busy[*s] && (!draining || self.world.sessions[*s].open)).collect();
        if free.is_empty() || (!busy[clerk] && self.dice.one_in(if draining { 4 } else { 9 })) {
            let nobody = free.is_empty();
            return self.by_the_clerk(nobody, draining && nobody);
        }
        let session = *self.dice.pick(&free);
        Some(if self.world.sessions[session].open {
            self.inside(session, draining)
        } else {
            self.outside(session)
        })
    }

    fn by_the_clerk(&mut self, nobody_else: bool, done: bool) -> Option<(Step, Effect)> {
        let clerk = self.world.sessions.len();
        let undecided: Vec<String> = self.world.undecided.keys().cloned().collect();
        if !undecided.is_empty() && (nobody_else || self.dice.one_in(3)) {
            let gid = self.dice.pick(&undecided).clone();
            let commit = !self.dice.one_in(3);
            let sql = format!("{} prepared '{gid}'", if commit { "commit" } else { "rollback" });
            return Some((Self::sql(clerk, sql), Effect::Decide { gid, commit }));
        }
        if done {
            return None;
        }
        let step = match self.dice.roll(4) {
            0 => Self::sql(clerk, format!("select pgq.force_tick('{QUEUE}'); select pgq.ticker('{QUEUE}')")),
            1 => Self::sql(clerk, format!("select pgq.maint_rotate_tables_step1('{QUEUE}')")),
            2 => Self::sql(clerk, "select pgq.maint_rotate_tables_step2()"),
            _ => Step { session: clerk, act: Act::Consume },
        };
        Some((step, Effect::Nothing))
    }

    fn outside(&mut self, session: usize) -> (Step, Effect) {
        self.plans[session].clear();
        match self.dice.weigh(&[50, 30, 10, 5]) {
            0 => {
                let level = self.dice.pick(LEVELS);
                // any look takes the snapshot
                let look =
                    if self.dice.one_in(2) { "; select 1 from pg_catalog.pg_class limit 1" } else { "" };
                (Self::sql(session, format!("begin isolation level {level}{look}")), Effect::Begin)
            }
            1 => (self.change(session), Effect::Nothing),
            2 => self.definition(session),
            _ => self.prepare(session),
        }
    }

    fn inside(&mut self, session: usize, draining: bool) -> (Step, Effect) {
        let me = &self.world.sessions[session];
        let saves: Vec<usize> = me.saves.iter().map(|(nr, _)| *nr).collect();
        let back = |dice: &mut Dice| {
            let nr = *dice.pick(&saves);
            (Self::sql(session, format!("rollback to s{nr}")), Effect::BackTo(nr))
        };
        if me.failed {
            self.plans[session].clear();
            if !saves.is_empty() && !draining && !self.dice.one_in(3) {
                return back(&mut self.dice);
            }
            let sql = if self.dice.one_in(2) { "rollback" } else { "commit" };
            return (Self::sql(session, sql), Effect::End { commit: false });
        }
        if !draining && let Some(step) = self.postponed(session) {
            return step;
        }
        let weights = if draining { [0, 0, 0, 0, 60, 15, 10, 0] } else { [60, 7, 6, 8, 12, 3, 4, 4] };
        match self.dice.weigh(&weights) {
            0 => (self.change(session), Effect::Nothing),
            1 => {
                let nr = self.name();
                (Self::sql(session, format!("savepoint s{nr}")), Effect::Save(nr))
            }
            2 if !saves.is_empty() => back(&mut self.dice),
            3 => self.definition(session),
            5 => (Self::sql(session, "rollback"), Effect::End { commit: false }),
            6 => {
                let gid = format!("g{}", self.name());
                (Self::sql(session, format!("prepare transaction '{gid}'")), Effect::Prepare(gid))
            }
            7 => self.prepare(session),
            _ => (Self::sql(session, "commit"), Effect::End { commit: true }),
        }
    }

    /// A part of a transaction on a table whose key is DEFERRABLE; now and then one begins.
    fn postponed(&mut self, session: usize) -> Option<(Step, Effect)> {
        if self.plans[session].is_empty() {
            let mut fit = self.world.existing(session);
            fit.retain(|t| self.world.table(session, *t).deferrable);
            if fit.is_empty() || !self.dice.one_in(6) {
                return None;
            }
            let id = *self.dice.pick(&fit);
            self.plans[session] = postponed::plan(&mut self.dice).into_iter().map(|p| (id, p)).collect();
        }
        if self.dice.one_in(4) {
            return None;
        }
        let (id, part) = self.plans[session].remove(0);
        let table = self.world.table(session, id);
        if let Some(sql) = postponed::statement(&mut self.dice, part, table) {
            return Some((Self::sql(session, sql), Effect::Nothing));
        }
        let change = definitions::rename_table(&mut self.dice, &self.world, id, table);
        Some((Self::sql(session, change.sql()), Effect::Shape(change.shapes)))
    }

    fn change(&mut self, session: usize) -> Step {
        let prepared = &self.world.sessions[session].prepared;
        if !prepared.is_empty() && self.dice.one_in(5) {
            let chosen = self.dice.pick(prepared).clone();
            return Self::sql(session, change::execute(&mut self.dice, &chosen));
        }
        let existing = self.world.existing(session);
        let (one, two) = (*self.dice.pick(&existing), *self.dice.pick(&existing));
        let (table, other) = (self.world.table(session, one), self.world.table(session, two));
        let may =
            change::May { merges: self.merges, truncates: self.world.truncates, nested: self.world.nested };
        Step { session, act: change::change(&mut self.dice, table, other, may) }
    }

    fn definition(&mut self, session: usize) -> (Step, Effect) {
        let existing = self.world.existing(session);
        let id = *self.dice.pick(&existing);
        let Some(change) = definitions::definition(&mut self.dice, &self.world, self.form, session, id)
        else {
            return (self.change(session), Effect::Nothing);
        };
        for (id, table) in &change.shapes {
            // room for what is new; it does not exist until this is committed
            if *id == self.world.tables.len() {
                let mut absent = table.clone();
                absent.exists = false;
                self.world.tables.push(absent);
            }
        }
        (Self::sql(session, change.sql()), Effect::Shape(change.shapes))
    }

    fn prepare(&mut self, session: usize) -> (Step, Effect) {
        let existing = self.world.existing(session);
        let id = *self.dice.pick(&existing);
        let name = format!("p{}", self.name());
        let table = self.world.table(session, id);
        if table.role == Role::Above || self.world.sessions[session].prepared.len() > 5 {
            return (self.change(session), Effect::Nothing);
        }
        match change::prepare(&mut self.dice, table, name) {
            Some((sql, prepared)) => (Self::sql(session, sql), Effect::Keep(prepared)),
            None => (self.change(session), Effect::Nothing),
        }
    }
}
