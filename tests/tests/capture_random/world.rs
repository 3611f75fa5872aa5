//! What the generator believes the tables to look like: as committed, and as each session sees them.

use std::collections::BTreeMap;

use crate::kinds::{KINDS, ident};

/// What a table is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Anything may be done to it.
    Plain,
    /// Referenced by, or referencing others: its key stays.
    Family,
    /// A partition or inheritance child: captured itself, written through its parent as well.
    Leaf,
    /// A partitioned table or a parent by inheritance: not captured, writes reach captured tables.
    Above,
    /// Without a key: only inserts.
    Keyless,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: usize,
    /// Computed by the server.
    pub generated: bool,
    /// Never dropped, renamed or changed.
    pub fixed: bool,
    /// NOT NULL, other than by being part of the primary key. The mirror does without.
    pub present: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub columns: Vec<Column>,
    pub key: Vec<String>,
    /// A column whose values are unique besides the key, by its name at first.
    pub unique: Option<String>,
    pub role: Role,
    pub exists: bool,
    /// Two rows may have its key until it is checked; ON CONFLICT is not possible then.
    pub deferrable: bool,
    /// The key is that of a unique index, named for capture by `pkey=`, and may hold null.
    pub given: bool,
    /// Has policies; COPY is not possible then.
    pub policies: bool,
    /// Names the constraint of the key, whatever the table is called today.
    pub constraint: String,
}

impl Table {
    /// Its quoted, qualified name.
    pub fn full(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }

    /// Its columns that can be written.
    pub fn writable(&self) -> Vec<&Column> {
        self.columns.iter().filter(|c| !c.generated).collect()
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> Vec<&Column> {
        self.key.iter().filter_map(|k| self.column(k)).collect()
    }

    /// The list of quoted key columns.
    pub fn key_list(&self) -> String {
        self.key.iter().map(|k| ident(k)).collect::<Vec<_>>().join(", ")
    }

    /// The definition, without anything that only the source has.
    pub fn definition(&self) -> String {
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .map(|c| {
                let key = self.key.contains(&c.name);
                let tail = if c.generated {
                    " generated always as (1 + 1) stored"
                } else if key && !self.given {
                    " not null"
                } else {
                    ""
                };
                format!("{} {}{tail}", ident(&c.name), KINDS[c.kind].sql)
            })
            .collect();
        if !self.key.is_empty() && !self.given {
            parts.push(format!("constraint {} primary key ({})", ident(&self.constraint), self.key_list()));
        }
        if let Some(name) = &self.unique {
            parts.push(format!("unique ({})", ident(name)));
        }
        let index = if self.given { format!("; {}", self.index()) } else { String::new() };
        format!("create table {} ({}){index}", self.full(), parts.join(", "))
    }

    /// The index of a key that is given.
    pub fn index(&self) -> String {
        format!("create unique index {} on {} ({})", ident(&self.constraint), self.full(), self.key_list())
    }

    /// What only the source has of its definition; nothing if it has all of it.
    pub fn not_null(&self) -> Option<String> {
        let parts: Vec<String> = self
            .columns
            .iter()
            .filter(|c| c.present)
            .map(|c| format!("alter column {} set not null", ident(&c.name)))
            .collect();
        (!parts.is_empty()).then(|| format!("alter table {} {}", self.full(), parts.join(", ")))
    }
}

/// Tables changed by a transaction and not yet committed.
pub type Overlay = BTreeMap<usize, Table>;

/// A prepared statement of a session.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub name: String,
    pub key_kinds: Vec<usize>,
    pub value_kind: usize,
    /// The value is one of a column that is NOT NULL.
    pub present: bool,
}

/// What the generator knows of a session.
#[derive(Debug, Default)]
pub struct Session {
    pub open: bool,
    pub failed: bool,
    pub overlay: Overlay,
    pub saves: Vec<(usize, Overlay)>,
    pub prepared: Vec<Prepared>,
}

/// What becomes of the picture when a step has succeeded.
#[derive(Debug, Clone)]
pub enum Effect {
    Nothing,
    Begin,
    End { commit: bool },
    Save(usize),
    BackTo(usize),
    Prepare(String),
    Decide { gid: String, commit: bool },
    Shape(Vec<(usize, Table)>),
    Keep(Prepared),
}

/// The tables and the sessions.
#[derive(Debug, Default)]
pub struct World {
    pub tables: Vec<Table>,
    pub sessions: Vec<Session>,
    /// Prepared transactions by name.
    pub undecided: BTreeMap<String, Overlay>,
    /// See [`crate::step::Setup`].
    pub nested: bool,
    /// Tables may be truncated.
    pub truncates: bool,
}

impl World {
    /// A table as a session sees it.
    pub fn table(&self, session: usize, table: usize) -> &Table {
        self.sessions[session].overlay.get(&table).unwrap_or(&self.tables[table])
    }

    /// The tables that exist for a session.
    pub fn existing(&self, session: usize) -> Vec<usize> {
        (0..self.tables.len()).filter(|t| self.table(session, *t).exists).collect()
    }

    fn settle(&mut self, overlay: Overlay) {
        for (id, table) in overlay {
            self.tables[id] = table;
        }
    }

    /// A step of a session has ended.
    pub fn ended(&mut self, session: usize, effect: Effect, succeeded: bool) {
        if let Effect::Decide { gid, commit } = &effect {
            if let Some(overlay) = self.undecided.remove(gid).filter(|_| *commit && succeeded) {
                self.settle(overlay);
            }
            return;
        }
        // the clerk has no transactions
        let Some(me) = self.sessions.get_mut(session) else { return };
        if !succeeded {
            match effect {
                // whatever ends a transaction ends it, also by failing
                Effect::End { .. } | Effect::Prepare(_) => {
                    let prepared = std::mem::take(&mut me.prepared);
                    *me = Session { prepared, ..Session::default() };
                }
                _ => me.failed = me.open,
            }
            return;
        }
        match effect {
            Effect::Nothing | Effect::Decide { .. } => {}
            Effect::Begin => me.open = true,
            Effect::Keep(prepared) => me.prepared.push(prepared),
            Effect::Save(nr) => me.saves.push((nr, me.overlay.clone())),
            Effect::BackTo(nr) => {
                if let Some(at) = me.saves.iter().rposition(|(n, _)| *n == nr) {
                    me.saves.truncate(at + 1);
                    me.overlay = me.saves[at].1.clone();
                    me.failed = false;
                }
            }
            Effect::Shape(changes) => {
                if me.open {
                    me.overlay.extend(changes);
                } else {
                    self.settle(changes.into_iter().collect());
                }
            }
            Effect::End { .. } | Effect::Prepare(_) => {
                let failed = me.failed;
                let overlay = std::mem::take(&mut me.overlay);
                let prepared = std::mem::take(&mut me.prepared);
                *me = Session { prepared, ..Session::default() };
                match effect {
                    Effect::End { commit: true } if !failed => self.settle(overlay),
                    Effect::Prepare(gid) if !failed => drop(self.undecided.insert(gid, overlay)),
                    _ => {}
                }
            }
        }
    }
}
