//! The columns of a table change while it is replicated, on one side first.

use crate::dice::Dice;
use crate::templates::{Form, Template};

/// No table has it.
const NONSENSE: &str = "nosuch";

/// Columns besides the key.
#[derive(Clone)]
pub struct Columns {
    /// In the order of the events.
    carried: Vec<String>,
    /// On the subscriber alone.
    idle: Vec<String>,
    added: usize,
    /// Which types of [`Template::widen`] have been widened.
    widened: usize,
}

impl Columns {
    pub fn of(template: &Template) -> Self {
        Columns {
            carried: template.columns.iter().map(|c| (*c).to_owned()).collect(),
            idle: Vec::new(),
            added: 0,
            widened: 0,
        }
    }

    pub fn carried(&self) -> &[String] {
        &self.carried
    }

    /// A value that the column did not take before its type was widened.
    pub fn wide_value(&self, template: &Template, column: &str) -> Option<&'static str> {
        template.widen[..self.widened].iter().find(|(name, ..)| *name == column)?.2
    }

    /// The next event has a column that the subscriber lacks.
    pub fn carry_nonsense(&mut self) {
        self.carried.push(NONSENSE.to_owned());
    }

    pub fn forget_nonsense(&mut self) {
        self.carried.retain(|c| c != NONSENSE);
    }

    /// One change that the subscriber can follow; `run` is given what is to be done there.
    pub fn drift(
        &mut self,
        dice: &mut Dice,
        template: &Template,
        run: impl FnOnce(String),
    ) -> Option<&'static str> {
        match dice.roll(if self.idle.is_empty() { 5 } else { 9 }) {
            0 | 1 => {
                if self.added >= 5 {
                    return None;
                }
                self.added += 1;
                let (kind, ddl) = *dice.pick(&[
                    ("xi", "int default 7"),
                    ("xt", "text"),
                    ("xv", "varchar(8) not null default 'here'"),
                    ("xi", "int default length('depends on nothing')"),
                ]);
                let name = format!("{kind}{}", self.added);
                run(format!("alter table {{s}} add {name} {ddl}"));
                self.idle.push(name);
                Some("column added here")
            }
            2 => {
                let at = self.some_carried(dice, template)?;
                let name = self.carried.remove(at);
                if template.is_mandatory(&name) {
                    run(format!("alter table {{s}} alter \"{name}\" drop not null"));
                }
                self.idle.push(name);
                Some("column leaves the events")
            }
            3 => {
                if self.carried.len() < 2 {
                    return None;
                }
                self.carried.rotate_left(1);
                Some("columns in another order")
            }
            4 => {
                let (name, wide, _) = template.widen.get(self.widened)?;
                self.widened += 1;
                let there =
                    template.key.contains(name) || self.carried.iter().chain(&self.idle).any(|c| c == name);
                if !there {
                    return None;
                }
                run(format!("alter table {{s}} alter \"{name}\" type {wide}"));
                Some("type widened")
            }
            5 | 6 => {
                let name = self.idle.swap_remove(dice.index(self.idle.len()));
                self.carried.insert(dice.index(self.carried.len() + 1), name);
                Some("column comes into the events")
            }
            7 => {
                let name = self.idle.swap_remove(dice.index(self.idle.len()));
                run(format!("alter table {{s}} drop \"{name}\" cascade"));
                Some("column dropped here")
            }
            // Only a row that is kept keeps what it has there.
            _ => {
                let own = self.idle.iter().find(|c| c.starts_with("xi"))?;
                run(format!("update {{s}} set {own} = {own} + 1"));
                Some("column written here")
            }
        }
    }

    /// A column that may leave: no column that is there for its index, and partial updates need one.
    fn some_carried(&self, dice: &mut Dice, template: &Template) -> Option<usize> {
        let least = if template.form == Form::Sql { 2 } else { 1 };
        if self.carried.len() < least {
            return None;
        }
        let at = dice.index(self.carried.len());
        let unique = template.unique.as_ref().is_some_and(|u| u.column() == self.carried[at]);
        (!unique).then_some(at)
    }
}
