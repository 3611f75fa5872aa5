//! Histories: changes of rows that mostly go well, and what happens to tables meanwhile.

use std::collections::BTreeMap;

use pgq::{Event, NewEvent};

use crate::dice::Dice;
use crate::drift::Columns;
use crate::events::{Row, event};
use crate::templates::{Template, Unique};
use crate::values::value;

/// One step of a history.
pub enum Step {
    Change {
        table: usize,
        event: Event,
    },
    /// As EXECUTE: SQL between two changes.
    Sql {
        table: usize,
        sql: String,
    },
}

/// What is being written.
#[derive(Default)]
pub struct Log {
    pub steps: Vec<Step>,
    last: i64,
}

impl Log {
    fn change(&mut self, dice: &mut Dice, table: &Table<'_>, op: char, row: &Row) {
        self.last += 1;
        let event = event(self.last, table.template, op, row, dice.index(8));
        self.steps.push(Step::Change { table: table.number, event });
    }
}

/// A table at the provider.
#[derive(Clone)]
pub struct Table<'t> {
    pub template: &'t Template,
    number: usize,
    /// Rows by the numbers of their keys, with the value that no other row may have.
    rows: BTreeMap<u64, Option<u64>>,
    /// Values that a row had.
    spare: Vec<u64>,
    next: u64,
    columns: Columns,
}

impl<'t> Table<'t> {
    fn new(number: usize, template: &'t Template) -> Self {
        Table {
            template,
            number,
            rows: BTreeMap::new(),
            spare: Vec::new(),
            next: 1000,
            columns: Columns::of(template),
        }
    }

    /// A row with some spelling of the key.
    fn row(&self, dice: &mut Dice, n: u64, own: Option<u64>, mood: Mood) -> Row {
        let spellings = (self.template.keys)(n);
        let key = match self.template.wrong_keys {
            Some(wrong) if mood.wrong && dice.one_in(60) => &wrong(n),
            _ => dice.pick(&spellings),
        };
        let mut row: Row =
            self.template.key.iter().zip(key).map(|(k, v)| ((*k).to_owned(), Some(v.clone()))).collect();
        for column in self.columns.carried() {
            let value = match &self.template.unique {
                Some(unique) if unique.column() == column => own.map(|v| v.to_string()),
                _ if dice.one_in(3)
                    && let Some(wide) = self.columns.wide_value(self.template, column) =>
                {
                    Some(wide.to_owned())
                }
                _ => value(dice, column, mood),
            };
            row.push((column.clone(), value));
        }
        row
    }

    /// A value that no row has; perhaps one that another row has just lost.
    fn fresh(&mut self, dice: &mut Dice) -> Option<u64> {
        if dice.one_in(6) {
            return None;
        }
        if dice.one_in(2)
            && let Some(lost) = self.spare.pop()
        {
            return Some(lost);
        }
        self.next += 1;
        Some(self.next)
    }

    fn write(&mut self, dice: &mut Dice, log: &mut Log, op: char, n: u64, own: Option<u64>, mood: Mood) {
        let row = self.row(dice, n, own, mood);
        log.change(dice, self, op, &row);
        match op {
            'D' => self.rows.remove(&n),
            'U' if !self.rows.contains_key(&n) => None,
            _ => self.rows.insert(n, own),
        };
    }

    fn change(&mut self, dice: &mut Dice, log: &mut Log, keys: u64, mood: Mood) {
        let n = dice.roll(keys);
        let there = self.rows.get(&n).copied();
        let mut own = match there {
            Some(own) if !dice.one_in(3) => own,
            _ => self.fresh(dice),
        };
        if mood.wrong && dice.one_in(300) {
            own = self.rows.values().next().copied().flatten();
        }
        if there.is_none() && !(mood.awkward && dice.one_in(10)) || (mood.wrong && dice.one_in(1500)) {
            self.write(dice, log, 'I', n, own, mood);
        } else if dice.one_in(3) {
            self.write(dice, log, 'D', n, None, mood);
            self.spare.extend(there.flatten().into_iter().chain(own.filter(|_| there != Some(own))));
        } else {
            self.write(dice, log, 'U', n, own, mood);
            let lost = if there.is_some() { there.flatten().filter(|v| Some(*v) != own) } else { own };
            self.spare.extend(lost);
        }
    }

    /// Up to `most` rows that are there, in random order.
    fn some(&self, dice: &mut Dice, most: usize) -> Vec<(u64, Option<u64>)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(n, own)| (*n, *own)).collect();
        let wanted = rows.len().min(most);
        for at in 0..wanted {
            let other = at + dice.index(rows.len() - at);
            rows.swap(at, other);
        }
        rows.truncate(wanted);
        rows
    }

    /// Updates of keys: each is a delete of the old key and an insert of the new row.
    fn move_keys(&mut self, dice: &mut Dice, log: &mut Log, keys: u64, mood: Mood) -> Option<&'static str> {
        let free = (0..keys).cycle().skip(dice.index(100)).take(100).find(|n| !self.rows.contains_key(n));
        match (dice.roll(4), free) {
            (0, Some(free)) => {
                let [(n, own)] = self.some(dice, 1)[..] else { return None };
                self.write(dice, log, 'D', n, None, mood);
                self.write(dice, log, 'I', free, own, mood);
                Some("key changed")
            }
            // Each row takes the place that the one before it has left.
            (1, Some(free)) => {
                let mut target = free;
                let moved = self.some(dice, 4);
                for (n, own) in &moved {
                    self.write(dice, log, 'D', *n, None, mood);
                    self.write(dice, log, 'I', target, *own, mood);
                    target = *n;
                }
                (moved.len() > 1).then_some("keys moved along")
            }
            // As one statement writes it: first all old keys, then all new rows.
            (2, _) => {
                let moved = self.some(dice, 4);
                for (n, _) in &moved {
                    self.write(dice, log, 'D', *n, None, mood);
                }
                for (nth, (_, own)) in moved.iter().enumerate() {
                    let (target, _) = moved[(nth + 1) % moved.len()];
                    self.write(dice, log, 'I', target, *own, mood);
                }
                (moved.len() > 1).then_some("keys swapped")
            }
            // The same key, perhaps in another spelling.
            _ => {
                let [(n, own)] = self.some(dice, 1)[..] else { return None };
                self.write(dice, log, 'D', n, None, mood);
                self.write(dice, log, 'I', n, own, mood);
                Some("key deleted and inserted")
            }
        }
    }

    /// Rows exchange the values that no two rows may have.
    fn move_values(&mut self, dice: &mut Dice, log: &mut Log, mood: Mood) -> Option<&'static str> {
        let [(a, of_a), (b, of_b)] = self.some(dice, 2)[..] else { return None };
        match (&self.template.unique, dice.roll(3)) {
            (Some(Unique::Deferrable(_)), 0 | 1) => {
                self.write(dice, log, 'U', a, of_b, mood);
                self.write(dice, log, 'U', b, of_a, mood);
                Some("values swapped at once")
            }
            (_, 0) => {
                self.write(dice, log, 'D', a, None, mood);
                self.write(dice, log, 'U', b, of_a, mood);
                self.write(dice, log, 'I', a, of_b, mood);
                Some("value handed over")
            }
            _ => {
                let between = self.fresh(dice);
                self.write(dice, log, 'U', a, between, mood);
                self.write(dice, log, 'U', b, of_a, mood);
                self.write(dice, log, 'U', a, of_b, mood);
                self.spare.extend(between);
                Some("values swapped")
            }
        }
    }

    fn truncate(&mut self, log: &mut Log) {
        self.rows.clear();
        log.last += 1;
        let event = Event::synthetic(log.last, 1, &NewEvent::new("R", "").extra1("x.y"));
        log.steps.push(Step::Change { table: self.number, event });
    }
}

/// What keeps a history mostly valid.
#[derive(Clone)]
pub struct Model<'t> {
    pub tables: Vec<Table<'t>>,
    keys: u64,
    last: i64,
    /// What has happened, and how often.
    pub told: BTreeMap<&'static str, u64>,
}

/// What is in a batch besides ordinary changes.
#[derive(Clone, Copy, Default)]
pub struct Mood {
    /// What fails: values that are none, rows that are there already.
    pub wrong: bool,
    /// What does not fail, but may keep a table from going by set: rows that are missing, large values.
    pub awkward: bool,
    /// Columns come and go.
    pub drifting: bool,
}

impl<'t> Model<'t> {
    /// Tables of these kinds, with so many keys each.
    pub fn new(templates: &[&'t Template], keys: u64) -> Self {
        let tables =
            templates.iter().enumerate().map(|(number, template)| Table::new(number, template)).collect();
        Model { tables, keys, last: 0, told: BTreeMap::new() }
    }

    /// The next batch.
    pub fn batch(&mut self, dice: &mut Dice, length: u64, mood: Mood) -> Vec<Step> {
        let mut log = Log { steps: Vec::new(), last: self.last };
        while u64::try_from(log.steps.len()).is_ok_and(|n| n < length) {
            let told = self.act(dice, &mut log, mood);
            self.tell(told);
        }
        self.last = log.last;
        log.steps
    }

    /// What is done to tables between batches.
    pub fn between(&mut self, dice: &mut Dice) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..dice.roll(4) {
            let at = dice.index(self.tables.len());
            let table = &mut self.tables[at];
            let told =
                table.columns.drift(dice, table.template, |sql| steps.push(Step::Sql { table: at, sql }));
            self.tell(told);
        }
        steps
    }

    /// A history of the first table with all that is ordinary, so that its way is known beforehand.
    pub fn tour(&mut self, dice: &mut Dice) -> Vec<Step> {
        let (mut log, mood) = (Log::default(), Mood::default());
        let (keys, table) = (self.keys, &mut self.tables[0]);
        for _ in 0..200 {
            table.change(dice, &mut log, keys, mood);
            if dice.one_in(5) {
                table.move_keys(dice, &mut log, keys, mood);
            }
            if table.template.unique.is_some() && dice.one_in(5) {
                table.move_values(dice, &mut log, mood);
            }
        }
        log.steps
    }

    fn tell(&mut self, told: Option<&'static str>) {
        if let Some(told) = told {
            *self.told.entry(told).or_default() += 1;
        }
    }

    fn act(&mut self, dice: &mut Dice, log: &mut Log, mood: Mood) -> Option<&'static str> {
        if dice.one_in(250) {
            let sql = match self.tables[0].template.key[0] {
                key if dice.one_in(2) => format!("update {{first}} set \"{key}\" = default where false"),
                _ => "delete from {log}".to_owned(),
            };
            log.steps.push(Step::Sql { table: 0, sql });
            return Some("script");
        }
        let at = dice.index(self.tables.len());
        let table = &mut self.tables[at];
        if dice.one_in(200) {
            table.truncate(log);
            return Some("truncate");
        }
        if mood.drifting && dice.one_in(60) {
            let steps = &mut log.steps;
            return table.columns.drift(dice, table.template, |sql| steps.push(Step::Sql { table: at, sql }));
        }
        if dice.one_in(20) {
            return table.move_keys(dice, log, self.keys, mood);
        }
        if table.template.unique.is_some() && dice.one_in(4) {
            return table.move_values(dice, log, mood);
        }
        if mood.wrong && dice.one_in(2000) {
            table.columns.carry_nonsense();
        }
        table.change(dice, log, self.keys, mood);
        table.columns.forget_nonsense();
        None
    }
}
