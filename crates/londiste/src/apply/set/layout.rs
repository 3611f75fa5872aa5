//! Which columns the events of a table carry, and how one event becomes one row of the stage. No I/O.

use std::collections::HashSet;

use pgq::change::{Format, Op, RowChange};
use skytools::copy::{NULL, escape_text_into};

use super::accept::Rules;
use super::decide::{self, Facts, Why};
use super::fold::{DELETE, INSERT, SetSql, UPDATE};
use crate::apply::target::TableShape;

/// The form of a table's events that the stage was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Columns as the events name them, in their order.
    names: Box<[Box<str>]>,
    /// Which of them are staged: all but generated ones. With each, whether it is part of the key.
    staged: Box<[(usize, bool)]>,
    /// Where the columns of the table's key are, in the key's order.
    key: Box<[usize]>,
}

impl Layout {
    /// The layout that an event suggests.
    ///
    /// # Errors
    /// Why events of this form have to go in order.
    pub fn of(change: &RowChange<'_>, shape: &TableShape, facts: &Facts) -> Result<Self, Why> {
        let mut seen = HashSet::new();
        let mut staged = Vec::new();
        for (at, (name, _)) in change.columns.iter().enumerate() {
            let column = shape.column(name).ok_or(Why::EventColumns)?;
            if !seen.insert(name.as_ref()) {
                return Err(Why::EventColumns);
            }
            if !column.generated {
                staged.push((at, facts.key().iter().any(|k| k == name)));
            }
        }
        let carried = |name: &str| seen.contains(name);
        if let Some(why) = decide::events(facts, &carried) {
            return Err(why);
        }
        let names: Box<[Box<str>]> = change.columns.iter().map(|(name, _)| name.as_ref().into()).collect();
        let place = |k: &String| names.iter().position(|n| **n == **k).ok_or(Why::EventKey);
        let key = facts.key().iter().map(place).collect::<Result<_, Why>>()?;
        Ok(Layout { names, staged: staged.into(), key })
    }

    /// The statements for this layout.
    ///
    /// # Errors
    /// Why the table cannot be staged.
    pub fn sql(&self, shape: &TableShape, facts: &Facts, tag: u64) -> Result<SetSql, Why> {
        SetSql::build(shape, facts, &self.staged_names(), tag)
    }

    /// The staged columns.
    pub fn staged_names(&self) -> Vec<&str> {
        self.staged.iter().map(|&(at, _)| &*self.names[at]).collect()
    }

    /// The columns as the events name them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Where the columns of the table's key are, in the key's order.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// Whether all columns that the events carry are staged.
    pub fn is_staged_whole(&self) -> bool {
        self.staged.len() == self.names.len()
    }

    /// Appends the values of an insert or update, which has passed [`Layout::fits`], as a line of COPY.
    pub fn encode_row(&self, change: &RowChange<'_>, out: &mut String) {
        for (nth, &(at, _)) in self.staged.iter().enumerate() {
            if nth > 0 {
                out.push('\t');
            }
            match change.columns[at].1.as_deref() {
                Some(text) => escape_text_into(out, text),
                None => out.push_str(NULL),
            }
        }
        out.push('\n');
    }

    /// Appends the values of the key, as in a line of COPY; false when one is NULL or may have another spelling.
    pub fn encode_key(&self, change: &RowChange<'_>, rules: &Rules, out: &mut String) -> bool {
        for (nth, &at) in self.key.iter().enumerate() {
            let value = if change.op == Op::Delete {
                change.key.iter().find(|(name, _)| **name == *self.names[at]).and_then(|(_, v)| v.as_deref())
            } else {
                change.columns[at].1.as_deref()
            };
            let Some(text) = value.filter(|text| rules.is_canonical(nth, text.as_bytes())) else {
                return false;
            };
            if nth > 0 {
                out.push('\t');
            }
            escape_text_into(out, text);
        }
        true
    }

    /// Where each staged column finds its value among those of the key; nothing for the others.
    pub fn key_places(&self) -> Vec<Option<usize>> {
        self.staged.iter().map(|&(at, _)| self.key.iter().position(|&k| k == at)).collect()
    }

    /// Whether the event carries these columns in this order.
    pub fn fits(&self, change: &RowChange<'_>) -> bool {
        self.names.len() == change.columns.len()
            && self.names.iter().zip(&change.columns).all(|(mine, (theirs, _))| **mine == **theirs)
    }

    /// Appends the event as a line of COPY. `place` is its place in the order. The event has passed [`Layout::fits`],
    /// or is a delete that has passed [`key_is`].
    pub fn encode(&self, change: &RowChange<'_>, place: u64, out: &mut String) {
        let op = match change.op {
            Op::Insert => INSERT,
            Op::Update => UPDATE,
            Op::Delete | Op::Truncate => DELETE,
        };
        let delete = op == DELETE;
        out.push_str(&(place << 2 | op).to_string());
        for &(at, key) in &self.staged {
            out.push('\t');
            let value = if delete {
                let named = |(name, _): &&pgq::change::Column<'_>| **name == *self.names[at];
                key.then(|| change.key.iter().find(named)).flatten().and_then(|(_, value)| value.as_deref())
            } else {
                change.columns[at].1.as_deref()
            };
            match value {
                Some(text) => escape_text_into(out, text),
                None => out.push_str(NULL),
            }
        }
        out.push('\n');
    }
}

/// Whether the event finds its row by exactly the table's key.
pub fn key_is(change: &RowChange<'_>, facts: &Facts) -> bool {
    let key = facts.key();
    // Partial updates carry new values beside the key's old ones.
    !(change.op == Op::Update && change.format == Format::Sql)
        && change.key.len() == key.len()
        && key.iter().all(|k| change.key.iter().any(|(name, _)| name == k))
}

#[cfg(test)]
mod tests {
    use pgq::{Event, NewEvent, change};

    use super::super::decide::tests::facts;
    use super::*;
    use crate::apply::target::tests::column;

    fn shape() -> TableShape {
        let mut generated = column("gen", "integer");
        generated.generated = true;
        let columns = vec![column("id", "bigint"), column("v", "text"), generated];
        TableShape::from_parts("public.t", 1, false, columns, vec!["id".to_owned()])
    }

    fn event(ev_type: &'static str, data: &'static str) -> Event {
        Event::synthetic(1, 1, &NewEvent::new(ev_type, data).extra1("public.t"))
    }

    fn line(layout: &Layout, event: &Event) -> String {
        let mut out = String::new();
        layout.encode(&change::decode(event).unwrap().unwrap(), 5, &mut out);
        out
    }

    #[test]
    fn events_become_lines_without_generated_columns() {
        let insert = event("I:id", "id=1&gen=9&v=a%09b");
        let change = change::decode(&insert).unwrap().unwrap();
        let layout = Layout::of(&change, &shape(), &facts()).unwrap();
        assert_eq!(line(&layout, &insert), "23\t1\ta\\tb\n");
        let update = event("U:id", "id=1&gen=9&v");
        assert!(layout.fits(&change::decode(&update).unwrap().unwrap()));
        assert_eq!(line(&layout, &update), "21\t1\t\\N\n");
        for delete in [event("D:id", "id=1&gen=9&v=x"), event("D", "id='1'")] {
            assert!(key_is(&change::decode(&delete).unwrap().unwrap(), &facts()));
            assert_eq!(line(&layout, &delete), "22\t1\t\\N\n");
        }
    }

    #[test]
    fn other_forms_are_told_apart() {
        let of = |data| {
            let event = event("I:id", data);
            let change = change::decode(&event).unwrap().unwrap();
            Layout::of(&change, &shape(), &facts())
        };
        assert_eq!(of("id=1&nosuch=2"), Err(Why::EventColumns));
        assert_eq!(of("id=1&v=1&v=2"), Err(Why::EventColumns));
        assert_eq!(of("v=1"), Err(Why::EventKey));
        let layout = of("id=1&v=2").unwrap();
        let fits = |data| layout.fits(&change::decode(&event("U:id", data)).unwrap().unwrap());
        assert!(fits("id=3&v=4"));
        assert!(!fits("id=3") && !fits("v=4&id=3") && !fits("id=3&v=4&gen=5"));
    }

    #[test]
    fn another_key_and_partial_updates_are_refused() {
        let key = |ev_type, data| key_is(&change::decode(&event(ev_type, data)).unwrap().unwrap(), &facts());
        assert!(key("U:id", "id=1&v=2"));
        assert!(!key("U:v", "id=1&v=2"));
        assert!(!key("U:id,v", "id=1&v=2"));
        assert!(!key("U", "v='2' where id='1'"));
    }
}
