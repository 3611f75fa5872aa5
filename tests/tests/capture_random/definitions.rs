//! Changes of definitions, and what the mirror does for each.

use crate::change::{fill, with_nulls, without_nulls};
use crate::dice::Dice;
use crate::kinds::{KINDS, ident, kind_of, literal};
use crate::setup::{SCHEMAS, TABLE_NAMES, attach, capture, column_name, fresh_name, random_table};
use crate::step::{BEHIND, DEFERRABLE, Form, NESTED, QUEUE, RESETS, WITHOUT_KEY};
use crate::world::{Column, Role, Table, World};

/// A change of definitions.
#[derive(Default)]
pub struct Change {
    source: Vec<String>,
    mirror: Vec<String>,
    /// What the tables are like when it has succeeded.
    pub shapes: Vec<(usize, Table)>,
    tag: &'static str,
}

impl Change {
    fn both(sql: String) -> Change {
        Change { source: vec![sql.clone()], mirror: vec![sql], ..Change::default() }
    }

    fn source(sql: impl Into<String>) -> Change {
        Change { source: vec![sql.into()], ..Change::default() }
    }

    fn with(mut self, id: usize, table: Table) -> Change {
        self.shapes.push((id, table));
        self
    }

    /// The statement: both lists are done and told in one.
    pub fn sql(&self) -> String {
        let array = |list: &[String]| {
            format!("array[{}]::text[]", list.iter().map(|s| literal(s)).collect::<Vec<_>>().join(", "))
        };
        format!("select h.ddl({}, {}){}", array(&self.source), array(&self.mirror), self.tag)
    }
}

/// A free column to change: not of the key, not fixed.
fn loose<'a>(dice: &mut Dice, table: &'a Table) -> Option<&'a Column> {
    let list: Vec<&Column> =
        table.columns.iter().filter(|c| !c.fixed && !table.key.contains(&c.name)).collect();
    (!list.is_empty()).then(|| *dice.pick(&list))
}

fn unused_column(dice: &mut Dice, table: &Table) -> String {
    let used: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    column_name(dice, &used)
}

fn add_column(dice: &mut Dice, id: usize, table: &Table) -> Change {
    let (name, kind) = (unused_column(dice, table), dice.roll(KINDS.len()));
    let default = if dice.one_in(3) {
        format!(" default {}", literal(dice.word(KINDS[kind].samples)))
    } else {
        String::new()
    };
    let mut after = table.clone();
    let present = !default.is_empty() && dice.one_in(2);
    after.columns.push(Column { name: name.clone(), kind, generated: false, fixed: false, present });
    let sql =
        format!("alter table {} add column {} {}{default}", table.full(), ident(&name), KINDS[kind].sql);
    let source = if present { format!("{sql} not null") } else { sql.clone() };
    Change { source: vec![source], mirror: vec![sql], ..Change::default() }.with(id, after)
}

fn drop_column(dice: &mut Dice, id: usize, table: &Table) -> Option<Change> {
    let name = loose(dice, table)?.name.clone();
    let mut after = table.clone();
    after.columns.retain(|c| c.name != name);
    let mut sql = format!("alter table {} drop column {}", table.full(), ident(&name));
    if dice.one_in(3) {
        // gone and back as something else, in one statement
        let kind = dice.roll(KINDS.len());
        sql.push_str(&format!(", add column {} {}", ident(&name), KINDS[kind].sql));
        after.columns.push(Column { name, kind, generated: false, fixed: false, present: false });
    }
    Some(Change::both(sql).with(id, after))
}

fn rename_column(dice: &mut Dice, id: usize, table: &Table) -> Option<Change> {
    let list: Vec<&Column> = table.columns.iter().filter(|c| !c.fixed).collect();
    if list.is_empty() {
        return None;
    }
    let old = dice.pick(&list).name.clone();
    let new = unused_column(dice, table);
    let mut after = table.clone();
    let rename = |table: &mut Table, old: &str, new: &str| {
        for column in table.columns.iter_mut().filter(|c| c.name == old) {
            column.name = new.to_owned();
        }
        for key in table.key.iter_mut().filter(|k| *k == old) {
            *key = new.to_owned();
        }
    };
    let full = table.full();
    let sql =
        |old: &str, new: &str| format!("alter table {full} rename column {} to {}", ident(old), ident(new));
    // names of columns of which one holds nulls say something else afterwards
    let unlike: Vec<&&Column> = list
        .iter()
        .filter(|c| list.iter().any(|o| o.name == old && o.kind == c.kind && o.present != c.present))
        .collect();
    let other =
        if unlike.is_empty() { dice.pick(&list).name.clone() } else { dice.pick(&unlike).name.clone() };
    if other != old && (!unlike.is_empty() || dice.one_in(2)) {
        // two columns exchange their names
        rename(&mut after, &old, "·");
        rename(&mut after, &other, &old);
        rename(&mut after, "·", &other);
        let all = [sql(&old, "·"), sql(&other, &old), sql("·", &other)].join("; ");
        return Some(Change::both(all).with(id, after));
    }
    rename(&mut after, &old, &new);
    Some(Change::both(sql(&old, &new)).with(id, after))
}

fn change_type(dice: &mut Dice, id: usize, table: &Table) -> Option<Change> {
    let mut after = table.clone();
    let full = table.full();
    // a key becomes wider, any other column anything
    if let Some(key) = table.key_columns().first().filter(|_| dice.one_in(3)) {
        let wider = match KINDS[key.kind].sql {
            "int2" => "int4",
            "int4" => "int8",
            "int8" => "numeric",
            "numeric" | "varchar(20)" | "uuid" => "text",
            _ => return None,
        };
        let name = ident(&key.name);
        for column in after.columns.iter_mut().filter(|c| c.name == key.name) {
            column.kind = kind_of(wider);
        }
        return Some(
            Change::both(format!(
                "alter table {full} alter column {name} type {wider} using {name}::{wider}"
            ))
            .with(id, after),
        );
    }
    let old = loose(dice, table)?;
    let kind = dice.roll(KINDS.len());
    let using = if !old.present && dice.one_in(2) {
        "null".to_owned()
    } else {
        literal(dice.word(KINDS[kind].samples))
    };
    let name = ident(&old.name);
    for column in after.columns.iter_mut().filter(|c| c.name == old.name) {
        column.kind = kind;
    }
    let sql = KINDS[kind].sql;
    Some(Change::both(format!("alter table {full} alter column {name} drop default, alter column {name} type {sql} using {using}::{sql}")).with(id, after))
}

/// A column gets or loses NOT NULL; between the two, nulls are written.
fn nullness(dice: &mut Dice, id: usize, table: &Table) -> Option<Change> {
    let column = match table.key_columns().first() {
        Some(key) if table.given && dice.one_in(3) => *key,
        _ => {
            let present: Vec<&Column> =
                table.columns.iter().filter(|c| c.present && !table.key.contains(&c.name)).collect();
            if present.is_empty() || dice.one_in(3) { loose(dice, table)? } else { *dice.pick(&present) }
        }
    };
    let alter = |how: &str| {
        format!("alter table {} alter column {} {how} not null", table.full(), ident(&column.name))
    };
    let mut source = Vec::new();
    let mut present = column.present;
    for _ in 0..1 + dice.weigh(&[3, 2, 2]) {
        if present {
            source.push(alter("drop"));
            if !dice.one_in(3) {
                source.push(with_nulls(dice, table, column));
            }
        } else {
            // of a key that is null nobody can change the rows
            if !table.key.contains(&column.name) {
                source.push(without_nulls(dice, table, column));
            }
            source.push(alter("set"));
            if dice.one_in(2) {
                // code that relies on it
                source.push("select pgq.refresh_capture()".to_owned());
            }
        }
        present = !present;
    }
    let mut after = table.clone();
    for changed in after.columns.iter_mut().filter(|c| c.name == column.name) {
        changed.present = present;
    }
    Some(Change { source, ..Change::default() }.with(id, after))
}

/// A key that is given becomes one that is checked late, by the index that it has, or is none any more.
fn change_given(dice: &mut Dice, form: Form, id: usize, table: &Table) -> Change {
    let (full, constraint) = (table.full(), ident(&table.constraint));
    if table.deferrable {
        let sql = format!("alter table {full} drop constraint {constraint}; {}", table.index());
        return Change::both(sql).with(id, Table { deferrable: false, ..table.clone() });
    }
    let how = dice.word(&["", " initially deferred"]);
    let sql = format!(
        "alter table {full} add constraint {constraint} unique using index {constraint} deferrable{how}"
    );
    let mut change = Change::both(sql).with(id, Table { deferrable: true, ..table.clone() });
    if dice.one_in(2) {
        change.source.push(capture(form, table));
    }
    Change { tag: DEFERRABLE, ..change }
}

/// The table, or its schema, gets another name.
pub fn rename_table(dice: &mut Dice, world: &World, id: usize, table: &Table) -> Change {
    let used: Vec<&str> = world.tables.iter().map(|t| t.name.as_str()).collect();
    let mut after = table.clone();
    if dice.one_in(2) {
        after.name = fresh_name(dice, TABLE_NAMES, &used);
        return Change::both(format!("alter table {} rename to {}", table.full(), ident(&after.name)))
            .with(id, after);
    }
    dice.word(SCHEMAS).clone_into(&mut after.schema);
    Change::both(format!("alter table {} set schema {}", table.full(), ident(&after.schema))).with(id, after)
}

/// Two tables exchange their names.
fn exchange(world: &World, session: usize, id: usize, other: usize) -> Option<Change> {
    let (a, b) = (world.table(session, id), world.table(session, other));
    if id == other || b.role != Role::Plain || a.schema != b.schema {
        return None;
    }
    let sql = |schema: &str, old: &str, new: &str| {
        format!("alter table {}.{} rename to {}", ident(schema), ident(old), ident(new))
    };
    let all = [sql(&a.schema, &a.name, "·"), sql(&b.schema, &b.name, &a.name), sql(&a.schema, "·", &b.name)]
        .join("; ");
    let (mut a, mut b) = (a.clone(), b.clone());
    std::mem::swap(&mut a.name, &mut b.name);
    Some(Change::both(all).with(id, a).with(other, b))
}

/// The key becomes one that is checked late, and capture is put on `again`.
pub fn postpone(dice: &mut Dice, again: Option<Form>, id: usize, table: &Table) -> Change {
    let how = dice.word(&["deferrable", "deferrable initially deferred", "deferrable initially deferred"]);
    let constraint = ident(&table.constraint);
    let sql = format!(
        "alter table {} drop constraint {constraint}, add constraint {constraint} primary key ({}) {how}",
        table.full(),
        table.key_list()
    );
    let mut change = Change::both(sql).with(id, Table { deferrable: true, ..table.clone() });
    if let Some(form) = again {
        change.source.push(capture(form, table));
    }
    Change { tag: DEFERRABLE, ..change }
}

/// The last columns of the key are none any more, and stay NOT NULL; what the mirror does about that.
fn leave_key(table: &mut Table, count: usize) -> Vec<String> {
    let full = table.full();
    let gone = table.key.split_off(table.key.len().saturating_sub(count));
    for column in table.columns.iter_mut().filter(|c| gone.contains(&c.name)) {
        column.present = true;
    }
    gone.iter().map(|c| format!("alter table {full} alter column {} drop not null", ident(c))).collect()
}

/// Another key, or one that may be postponed, or for a while none.
fn change_key(dice: &mut Dice, form: Form, id: usize, table: &Table) -> Option<Change> {
    if table.given {
        return Some(change_given(dice, form, id, table));
    }
    let (full, constraint) = (table.full(), ident(&table.constraint));
    let mut after = Table { deferrable: false, ..table.clone() };
    if table.key.is_empty() {
        let first = table.columns.iter().find(|c| KINDS[c.kind].key && !c.fixed)?;
        after.key = vec![first.name.clone()];
        return Some(
            Change::both(format!(
                "alter table {full} add constraint {constraint} primary key ({})",
                after.key_list()
            ))
            .with(id, after),
        );
    }
    let drop = format!("alter table {full} drop constraint {constraint}");
    let add = |after: &Table, how: &str| {
        format!("add constraint {constraint} primary key ({}){how}", after.key_list())
    };
    match dice.roll(6) {
        0 => {
            let nullable = leave_key(&mut after, table.key.len());
            let mut change = Change::both(drop).with(id, after);
            change.mirror.extend(nullable);
            Some(Change { tag: WITHOUT_KEY, ..change })
        }
        1 => {
            // by row, inserts are refused until then; the other forms refuse that as well
            let again = dice.one_in(4) != (form == Form::Row);
            Some(postpone(dice, again.then_some(form), id, table))
        }
        2 if after.key.len() > 1 => {
            let nullable = leave_key(&mut after, 1);
            let mut change = Change::both(format!("{drop}, {}", add(&after, ""))).with(id, after);
            change.mirror.extend(nullable);
            Some(change)
        }
        3 if after.key.len() > 1 => {
            after.key.reverse();
            Some(Change::both(format!("{drop}, {}", add(&after, ""))).with(id, after))
        }
        4 => {
            // the key goes and comes back; between them the table is written to
            let insert = fill(dice, &after);
            let last = format!("alter table {full} {}", add(&after, ""));
            Some(Change {
                source: vec![drop.clone(), insert, last.clone()],
                mirror: vec![drop, last],
                tag: WITHOUT_KEY,
                shapes: vec![(id, after)],
            })
        }
        _ => {
            let column = table
                .columns
                .iter()
                .find(|c| !c.generated && !c.fixed && KINDS[c.kind].key && !table.key.contains(&c.name))?;
            after.key.push(column.name.clone());
            let fill = format!("alter table {full} alter column {} set not null", ident(&column.name));
            Some(Change::both(format!("{fill}; {drop}, {}", add(&after, ""))).with(id, after))
        }
    }
}

/// A unique index comes or goes.
fn unique_index(dice: &mut Dice, table: &Table) -> Change {
    let fit: Vec<&Column> = table.columns.iter().filter(|c| KINDS[c.kind].key).collect();
    let name = ident(&format!("unique_{}", table.constraint));
    if fit.is_empty() || dice.one_in(2) {
        return Change::both(format!("drop index if exists {}.{name}", ident(&table.schema)));
    }
    let kind = dice.word(&["", "", "", " where note is not null", " nulls not distinct"]);
    let columns: Vec<String> = (0..1 + dice.roll(2))
        .map(|_| {
            let column = dice.pick(&fit);
            let name = ident(&column.name);
            match KINDS[column.kind].sql {
                "text" | "varchar(20)" if dice.one_in(2) => format!("pg_catalog.lower({name})"),
                "int4" if dice.one_in(2) => format!("({name} operator(pg_catalog.%) 4)"),
                _ => name,
            }
        })
        .collect();
    Change::both(format!("create unique index {name} on {} ({}){kind}", table.full(), columns.join(", ")))
}

/// What does not change the table, or not what a mirror has of it.
fn around(dice: &mut Dice, world: &World, form: Form, id: usize, table: &Table) -> Change {
    let full = table.full();
    let regclass = literal(&format!("{}.{}", table.schema, table.name));
    let trigger = format!("_londiste_{QUEUE}");
    match dice.roll(14) {
        0 => Change::source(format!(
            "alter table {full} replica identity {}",
            dice.word(&["full", "nothing", "default"])
        )),
        1 => Change::source(format!(
            "alter table {full} replica identity using index {}",
            ident(&table.constraint)
        )),
        2 => Change::source("select pgq.refresh_capture()"),
        3 => Change::source(capture(form, table)),
        4 => Change::source(format!(
            "select pgq.uncapture_table('{QUEUE}', {regclass}); {}",
            capture(form, table)
        )),
        5 => Change::source(format!(
            "alter table {full} disable trigger {trigger}; alter table {full} enable trigger {trigger}"
        )),
        6 => Change::source(format!("drop trigger {trigger} on {full}; {}", capture(form, table))),
        7 => Change::source(format!("reindex table {full}")),
        8 if !table.key.is_empty() => {
            Change::source(format!("cluster {full} using {}", ident(&table.constraint)))
        }
        9 => {
            let sql = format!(
                "alter table {full} enable row level security; drop policy if exists p on {full}; create policy p on {full} using (true)"
            );
            Change::source(sql).with(id, Table { policies: true, ..table.clone() })
        }
        10 => Change::source(format!(
            "alter table {full} owner to writer; alter table {full} owner to current_user; grant all on {full} to writer"
        )),
        11 => Change::source("select pgq.refresh_queue_code()"),
        12 => Change::source(format!("analyze {full}")),
        _ => triggers(dice, world.nested, form, table),
    }
}

/// Triggers of the user's come and go.
fn triggers(dice: &mut Dice, nested: bool, form: Form, table: &Table) -> Change {
    let full = table.full();
    let (function, when) = match dice.roll(if nested { 14 } else { 4 }) {
        0 => ("change", "before insert or update"),
        1 => ("skip", "before insert or update or delete"),
        2 => ("note", "after insert or update or delete"),
        3 => ("again", "after insert or update"),
        4 => ("others", "after insert"),
        5 => ("gone", "after insert or update"),
        6 => ("others", "before update"),
        7 | 8 => ("back", "after delete"),
        9 => ("back", "after update or delete"),
        10 | 11 => ("take", "after update or delete"),
        // text of generic triggers depends on settings
        12 if form != Form::Generic => ("reset", "after insert or update"),
        _ => ("again", "after update"),
    };
    // of triggers of a kind the first by name fires first; capture's are called ~_londiste and !_londiste
    let (name, behind) = match dice.roll(6) {
        0 if nested => (format!("A {function}"), false),
        1 => (format!("~ {function}"), false),
        2 if form == Form::Row && when.starts_with("before") => (format!("~~ {function}"), true),
        _ => (function.to_owned(), false),
    };
    let name = ident(&name);
    let drop = format!("drop trigger if exists {name} on {full}");
    let argument = match function {
        "again" | "gone" if table.key.len() == 1 => literal(&table.key[0]),
        "again" | "gone" => return Change::source(drop),
        "take" => literal(table.unique.as_deref().unwrap_or("note")),
        _ => String::new(),
    };
    if dice.one_in(2) {
        return Change::source(drop);
    }
    let tag = match function {
        _ if behind => BEHIND,
        "reset" => RESETS,
        "again" | "others" | "gone" | "back" | "take" => NESTED,
        _ => "",
    };
    let create = format!(
        "create trigger {name} {when} on {full} for each row execute function h.{function}({argument})"
    );
    Change { tag, ..Change::source(format!("{drop}; {create}")) }
}

fn come_and_go(dice: &mut Dice, world: &World, form: Form, id: usize, table: &Table) -> Change {
    if dice.one_in(2) && world.tables.len() < 14 {
        let new = random_table(dice, world, world.tables.len());
        let definition = new.definition();
        return Change {
            source: vec![definition.clone(), capture(form, &new)],
            mirror: vec![definition],
            ..Change::default()
        }
        .with(world.tables.len(), new);
    }
    if dice.one_in(2) {
        // another table under the name of the old
        let mut after = random_table(dice, world, world.tables.len());
        after.schema.clone_from(&table.schema);
        after.name.clone_from(&table.name);
        let (drop, definition) = (format!("drop table {}", table.full()), after.definition());
        return Change {
            source: vec![drop.clone(), definition.clone(), capture(form, &after)],
            mirror: vec![drop, definition],
            ..Change::default()
        }
        .with(id, after);
    }
    let mut after = table.clone();
    after.exists = false;
    Change::both(format!("drop table {}", table.full())).with(id, after)
}

fn leaf(dice: &mut Dice, table: &Table) -> Change {
    let full = table.full();
    Change::source(match (table.name.as_str(), dice.one_in(2)) {
        ("heir", true) => format!("alter table {full} inherit mother"),
        ("heir", false) => format!("alter table {full} no inherit mother"),
        (_, true) => format!("alter table public.\"Root %\" detach partition {full}"),
        (name, false) => attach(name),
    })
}

/// A change of a table's definition, if there is one that suits.
pub fn definition(dice: &mut Dice, world: &World, form: Form, session: usize, id: usize) -> Option<Change> {
    let table = world.table(session, id);
    match table.role {
        Role::Above | Role::Keyless => None,
        Role::Family => Some(around(dice, world, form, id, table)),
        Role::Leaf if dice.one_in(3) => Some(around(dice, world, form, id, table)),
        Role::Leaf => Some(leaf(dice, table)),
        Role::Plain => match dice.weigh(&[12, 7, 12, 14, 8, 3, 12, 20, 4, 10, 26]) {
            0 => Some(add_column(dice, id, table)),
            1 => drop_column(dice, id, table),
            2 => rename_column(dice, id, table),
            3 => change_type(dice, id, table),
            4 => Some(rename_table(dice, world, id, table)),
            5 => {
                let other = dice.roll(world.tables.len());
                exchange(world, session, id, other)
            }
            6 => change_key(dice, form, id, table),
            7 => Some(around(dice, world, form, id, table)),
            9 => Some(unique_index(dice, table)),
            10 => nullness(dice, id, table),
            _ if table.name == "wide" => None,
            _ => Some(come_and_go(dice, world, form, id, table)),
        },
    }
}
