//! Statements that change rows.

use crate::dice::Dice;
use crate::kinds::{KINDS, copy_field, ident, literal};
use crate::step::Act;
use crate::world::{Column, Prepared, Table};

/// Equality that no `search_path` changes.
const EQUALS: &str = "operator(pg_catalog.=)";

/// A value of a type, as text.
pub fn sample(dice: &mut Dice, kind: usize) -> Option<String> {
    (!dice.one_in(6)).then(|| dice.word(KINDS[kind].samples).to_owned())
}

/// A value that a column takes.
fn fitting(dice: &mut Dice, kind: usize, present: bool) -> Option<String> {
    if present {
        return Some(dice.word(KINDS[kind].samples).to_owned());
    }
    sample(dice, kind)
}

/// A value for a key: one of few, so that rows meet.
pub fn key_sample(dice: &mut Dice, kind: usize) -> String {
    let samples = KINDS[kind].samples;
    samples[dice.roll(samples.len().min(8))].to_owned()
}

fn value(dice: &mut Dice, table: &Table, column: &Column) -> Option<String> {
    if column.name == "up" && dice.one_in(2) {
        return None;
    }
    if table.key.contains(&column.name) {
        if table.given && !column.present && dice.one_in(10) {
            return None;
        }
        Some(key_sample(dice, column.kind))
    } else {
        fitting(dice, column.kind, column.present)
    }
}

pub fn expression(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), literal)
}

pub fn columns(list: &[&Column]) -> String {
    list.iter().map(|c| ident(&c.name)).collect::<Vec<_>>().join(", ")
}

/// A condition on the key that some rows meet; one in so many times none at all.
fn condition(dice: &mut Dice, table: &Table, without: usize) -> String {
    let keys = table.key_columns();
    if keys.is_empty() || dice.one_in(without) {
        return String::new();
    }
    let mut alternatives = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        // a part of the key is enough
        let used = &keys[..1 + dice.roll(keys.len())];
        let parts: Vec<String> = used
            .iter()
            .map(|c| format!("{} {EQUALS} {}", ident(&c.name), literal(&key_sample(dice, c.kind))))
            .collect();
        alternatives.push(format!("({})", parts.join(" and ")));
    }
    format!(" where {}", alternatives.join(" or "))
}

fn rows(dice: &mut Dice, table: &Table, list: &[&Column], count: usize) -> Vec<Vec<Option<String>>> {
    (0..count).map(|_| list.iter().map(|c| value(dice, table, c)).collect()).collect()
}

/// Rows to begin with.
pub fn fill(dice: &mut Dice, table: &Table) -> String {
    new_rows(dice, table)
}

/// Rows whose keys are free.
fn new_rows(dice: &mut Dice, table: &Table) -> String {
    let insert = insert(dice, table);
    if table.deferrable { insert } else { format!("{insert} on conflict do nothing") }
}

fn insert(dice: &mut Dice, table: &Table) -> String {
    let list = table.writable();
    let count = 1 + dice.roll(6);
    let values: Vec<String> = rows(dice, table, &list, count)
        .iter()
        .map(|row| {
            format!("({})", row.iter().map(|v| expression(v.as_deref())).collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!("insert into {} ({}) values {}", table.full(), columns(&list), values.join(", "))
}

/// A column loses its nulls, all of them in one statement.
pub fn without_nulls(dice: &mut Dice, table: &Table, column: &Column) -> String {
    let name = ident(&column.name);
    let value = literal(dice.word(KINDS[column.kind].samples));
    format!("update {} set {name} = {value} where {name} is null", table.full())
}

/// It gets some.
pub fn with_nulls(dice: &mut Dice, table: &Table, column: &Column) -> String {
    let some = if dice.one_in(3) { condition(dice, table, 2) } else { String::new() };
    format!("update {} set {} = null{some}", table.full(), ident(&column.name))
}

/// What follows SET: some columns, sometimes the key.
fn assignments(dice: &mut Dice, table: &Table) -> String {
    let keys = table.key_columns();
    if !keys.is_empty() && dice.one_in(6) {
        let column = *dice.pick(&keys);
        let name = ident(&column.name);
        if table.given && !column.present && dice.one_in(4) {
            return format!("{name} = null");
        }
        if KINDS[column.kind].sql == "int4" && dice.one_in(2) {
            return format!("{name} = {name} operator(pg_catalog.+) {}", 1 + dice.roll(5));
        }
        return format!("{name} = {}", literal(&key_sample(dice, column.kind)));
    }
    let list: Vec<&Column> = table.writable().into_iter().filter(|c| !table.key.contains(&c.name)).collect();
    let mut parts = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        let column = *dice.pick(&list);
        let value = fitting(dice, column.kind, column.present);
        let part = format!("{} = {}", ident(&column.name), expression(value.as_deref()));
        let start = format!("{} = ", ident(&column.name));
        if !parts.iter().any(|p: &String| p.starts_with(&start)) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

fn update(dice: &mut Dice, table: &Table) -> String {
    format!("update {} set {}{}", table.full(), assignments(dice, table), condition(dice, table, 3))
}

fn delete(dice: &mut Dice, table: &Table) -> String {
    format!("delete from {}{}", table.full(), condition(dice, table, 12))
}

/// Calls a function for each row deleted that inserts it again.
fn put_back(dice: &mut Dice, table: &Table) -> String {
    format!(
        "delete from {} gone{} returning h.put_back({}, gone::pg_catalog.text)",
        table.full(),
        condition(dice, table, 12),
        literal(&table.full())
    )
}

fn upsert(dice: &mut Dice, table: &Table) -> String {
    let insert = insert(dice, table);
    if table.key.is_empty() || dice.one_in(3) {
        return format!("{insert} on conflict do nothing");
    }
    let guard =
        if dice.one_in(4) { format!(" where {}.note is not null", table.full()) } else { String::new() };
    format!(
        "{insert} on conflict ({}) do update set {}{guard}",
        table.key_list(),
        assignments_of_upsert(dice, table)
    )
}

fn assignments_of_upsert(dice: &mut Dice, table: &Table) -> String {
    let list: Vec<&Column> = table.writable().into_iter().filter(|c| !table.key.contains(&c.name)).collect();
    let column = ident(&dice.pick(&list).name);
    format!("{column} = excluded.{column}")
}

fn merge(dice: &mut Dice, table: &Table) -> String {
    let list = table.writable();
    let count = 1 + dice.roll(3);
    let source: Vec<String> = rows(dice, table, &list, count)
        .iter()
        .map(|row| {
            let parts: Vec<String> = row
                .iter()
                .zip(&list)
                .enumerate()
                .map(|(nr, (v, c))| format!("{}::{} as v{nr}", expression(v.as_deref()), KINDS[c.kind].sql))
                .collect();
            format!("select {}", parts.join(", "))
        })
        .collect();
    let on: Vec<String> = list
        .iter()
        .enumerate()
        .filter(|(_, c)| table.key.contains(&c.name))
        .map(|(nr, c)| format!("t.{} {EQUALS} s.v{nr}", ident(&c.name)))
        .collect();
    let on = if on.is_empty() { "false".to_owned() } else { on.join(" and ") };
    let matched = match dice.roll(3) {
        0 => "when matched then delete".to_owned(),
        1 => format!("when matched then update set {}", assignments(dice, table)),
        _ => format!(
            "when matched and t.note is null then delete when matched then update set {}",
            assignments(dice, table)
        ),
    };
    let values: Vec<String> = (0..list.len()).map(|nr| format!("s.v{nr}")).collect();
    format!(
        "merge into {} t using ({}) s on {on} {matched} when not matched then insert ({}) values ({})",
        table.full(),
        source.join(" union all "),
        columns(&list),
        values.join(", ")
    )
}

/// One statement that changes a table twice, or two tables.
fn writable_cte(dice: &mut Dice, table: &Table, other: &Table) -> String {
    let list = columns(&table.writable());
    match dice.roll(4) {
        0 => format!(
            "with d as ({} returning *) insert into {} ({list}) select {list} from d",
            delete(dice, table),
            table.full()
        ),
        1 => format!("with d as ({} returning 1) {}", delete(dice, other), insert(dice, table)),
        2 => format!(
            "with i as ({} returning 1), u as ({} returning 1) {}",
            insert(dice, table),
            update(dice, other),
            update(dice, table)
        ),
        _ => format!("with u as ({} returning 1) select (select count(*) from u)", update(dice, table)),
    }
}

fn copy(dice: &mut Dice, table: &Table) -> Act {
    let list = table.writable();
    let count = 1 + dice.roll(5);
    let mut data = String::new();
    for row in rows(dice, table, &list, count) {
        data.push_str(&row.iter().map(|v| copy_field(v.as_deref())).collect::<Vec<_>>().join("\t"));
        data.push('\n');
    }
    Act::Copy { sql: format!("copy {} ({}) from stdin", table.full(), columns(&list)), data }
}

/// What changes may be like.
#[derive(Debug, Clone, Copy)]
pub struct May {
    pub merges: bool,
    pub truncates: bool,
    /// A statement may call a function that changes the same table.
    pub nested: bool,
}

/// A change of a table; `other` is one more that may take part.
pub fn change(dice: &mut Dice, table: &Table, other: &Table, may: May) -> Act {
    let May { merges, truncates, nested } = may;
    let sql = match dice.weigh(&[20, 10, 25, 12, 6, 5, if truncates { 3 } else { 0 }, 8]) {
        // else most would fail as a whole
        0 if dice.one_in(3) => insert(dice, table),
        0 => new_rows(dice, table),
        1 if table.deferrable => update(dice, table),
        1 => upsert(dice, table),
        2 => update(dice, table),
        3 if nested && dice.one_in(5) => put_back(dice, table),
        3 => delete(dice, table),
        4 if table.policies => insert(dice, table),
        4 => return copy(dice, table),
        5 => writable_cte(dice, table, other),
        6 if dice.one_in(4) => format!("truncate {}, {} cascade", table.full(), other.full()),
        6 => format!("truncate {}{}", table.full(), dice.word(&["", " restart identity", " cascade"])),
        _ if merges => merge(dice, table),
        _ => update(dice, table),
    };
    if dice.one_in(14) {
        // a subtransaction, undone or not
        let end = if dice.one_in(2) { "raise exception 'undo';" } else { "" };
        return Act::Sql(format!(
            "do $do$ begin {sql}; {end} exception when raise_exception then null; end $do$"
        ));
    }
    Act::Sql(sql)
}

/// A prepared statement on a table.
pub fn prepare(dice: &mut Dice, table: &Table, name: String) -> Option<(String, Prepared)> {
    let keys = table.key_columns();
    let list: Vec<&Column> = table.writable().into_iter().filter(|c| !table.key.contains(&c.name)).collect();
    if keys.is_empty() || list.is_empty() {
        return None;
    }
    let column = *dice.pick(&list);
    let set = ident(&column.name);
    let on: Vec<String> =
        keys.iter().enumerate().map(|(nr, c)| format!("{} {EQUALS} ${}", ident(&c.name), nr + 2)).collect();
    let sql = match dice.roll(3) {
        0 => format!("update {} set {set} = $1 where {}", table.full(), on.join(" and ")),
        1 => {
            let parameters: Vec<String> = (0..keys.len()).map(|nr| format!(", ${}", nr + 2)).collect();
            format!(
                "insert into {} ({set}, {}) values ($1{}) on conflict do nothing",
                table.full(),
                table.key_list(),
                parameters.concat()
            )
        }
        _ => format!(
            "delete from {} where {} and ($1::{} is null or true)",
            table.full(),
            on.join(" and "),
            KINDS[column.kind].sql
        ),
    };
    let prepared = Prepared {
        name,
        key_kinds: keys.iter().map(|c| c.kind).collect(),
        value_kind: column.kind,
        present: column.present,
    };
    Some((format!("prepare {} as {sql}", prepared.name), prepared))
}

/// Executes it.
pub fn execute(dice: &mut Dice, prepared: &Prepared) -> String {
    let mut values = vec![expression(fitting(dice, prepared.value_kind, prepared.present).as_deref())];
    values.extend(prepared.key_kinds.iter().map(|k| literal(&key_sample(dice, *k))));
    format!("execute {}({})", prepared.name, values.join(", "))
}
