//! Transactions on a table whose key is DEFERRABLE: a row gets the key of another one, perhaps in another spelling, and then one of
//! the two goes.

use crate::change;
use crate::dice::Dice;
use crate::kinds::{KINDS, ident};
use crate::world::Table;

/// A step of such a transaction; others may come between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Defer,
    Immediate,
    /// One more row with a key that is there.
    Twin,
    /// The same in the statement that deletes the other one.
    Replace,
    /// Other texts of the same values.
    Zone,
    Rename,
    /// Of the rows that have one key, one.
    DeleteOne,
    UpdateOne,
    MoveOne,
}

/// The parts of one transaction.
pub fn plan(dice: &mut Dice) -> Vec<Part> {
    let mut parts = vec![Part::Defer];
    if dice.one_in(2) {
        parts.push(Part::Replace);
    } else {
        parts.push(Part::Twin);
    }
    let between = [(Part::Zone, 2), (Part::Rename, 4), (Part::UpdateOne, 4), (Part::Twin, 6)];
    for (part, one_in) in between {
        if dice.one_in(one_in) {
            parts.push(part);
        }
    }
    parts.push(if dice.one_in(8) { Part::MoveOne } else { Part::DeleteOne });
    for (part, one_in) in [(Part::UpdateOne, 4), (Part::DeleteOne, 6), (Part::Immediate, 3)] {
        if dice.one_in(one_in) {
            parts.push(part);
        }
    }
    parts
}

/// Its statement; none where that is another kind of step.
pub fn statement(dice: &mut Dice, part: Part, table: &Table) -> Option<String> {
    Some(match part {
        Part::Defer => "set constraints all deferred".to_owned(),
        Part::Immediate => "set constraints all immediate".to_owned(),
        Part::Zone => {
            format!("set timezone = {}", dice.word(&["'Asia/Kolkata'", "'UTC'", "'America/St_Johns'"]))
        }
        Part::Twin => {
            let one = one(dice, table);
            twin(dice, table, &format!("only {one}"))
        }
        Part::Replace => replace(dice, table),
        Part::DeleteOne => format!("delete from {}{}", table.full(), one_of_several(dice, table)),
        Part::UpdateOne => {
            let note = dice.word(&["'one'", "'other'", "null"]);
            format!("update {} set note = {note}{}", table.full(), one_of_several(dice, table))
        }
        Part::MoveOne => {
            let key = ident(&table.key[0]);
            let value = change::key_sample(dice, table.key_columns()[0].kind);
            format!(
                "update {} set {key} = {}{}",
                table.full(),
                crate::kinds::literal(&value),
                one_of_several(dice, table)
            )
        }
        Part::Rename => return None,
    })
}

/// The same value; where its type has several texts for it, another one.
fn respelt(dice: &mut Dice, kind: usize, name: &str) -> String {
    match KINDS[kind].sql {
        "numeric" if dice.one_in(2) => format!("{name} operator(pg_catalog.*) 1.0"),
        "public.citext" => {
            let case = dice.word(&["upper", "lower"]);
            format!("pg_catalog.{case}({name}::pg_catalog.text)::public.citext")
        }
        _ => name.to_owned(),
    }
}

/// Inserts the rows of a FROM clause once more.
fn twin(dice: &mut Dice, table: &Table, from: &str) -> String {
    let list = table.writable();
    let values: Vec<String> = list
        .iter()
        .map(|c| {
            if table.key.contains(&c.name) {
                respelt(dice, c.kind, &ident(&c.name))
            } else {
                let value = change::expression(change::sample(dice, c.kind).as_deref());
                format!("{value}::{}", KINDS[c.kind].sql)
            }
        })
        .collect();
    format!(
        "insert into {} ({}) select {} from {from}",
        table.full(),
        change::columns(&list),
        values.join(", ")
    )
}

/// One row of the table, by its place.
fn one(dice: &mut Dice, table: &Table) -> String {
    let full = table.full();
    let nr = dice.roll(3);
    format!(
        "{full} where ctid operator(pg_catalog.=) (select ctid from only {full} order by ctid offset {nr} limit 1)"
    )
}

/// Deletes a row and inserts its twin, in either order of what is written.
fn replace(dice: &mut Dice, table: &Table) -> String {
    let one = one(dice, table);
    if dice.one_in(2) {
        return format!("with gone as (delete from {one} returning *) {}", twin(dice, table, "gone"));
    }
    format!("with more as ({} returning 1) delete from {one}", twin(dice, table, &format!("only {one}")))
}

/// The oldest or the newest of rows with one key.
fn one_of_several(dice: &mut Dice, table: &Table) -> String {
    let order = dice.word(&["", "", " desc"]);
    format!(
        " where ctid operator(pg_catalog.=) any (array(select (pg_catalog.array_agg(ctid order by ctid{order}))[1] from only {} group by {} having pg_catalog.count(*) operator(pg_catalog.>) 1))",
        table.full(),
        table.key_list()
    )
}
