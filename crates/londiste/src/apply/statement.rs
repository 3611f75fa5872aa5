//! The SQL that applies one kind of change to one table. No I/O.
//!
//! A statement is built once for each combination of operation, columns and key and then executed with parameters;
//! parameters are sent as text, so the column's own input function reads them.

use pgq::change::Op;
use skytools::{Error, Result, quote};

use super::target::{Column, TableShape};

/// A statement and where its parameters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The statement, for one row.
    pub sql: String,
    /// Index into the event's columns for each parameter, in order.
    pub params: Vec<usize>,
    /// How several rows fit into one statement, where they do.
    several: Option<Several>,
}

/// Changes of which several neighbours may share a statement, because the order among them makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Several {
    /// Rows follow one another in `values`; this is what stands before.
    Insert(String),
    /// Keys of one column, listed in an array: what stands before, and the key's type.
    Delete(String, String),
}

impl Plan {
    /// Whether several rows fit into one statement.
    pub fn takes_several(&self) -> bool {
        self.several.is_some()
    }

    /// The statement for `rows` rows at once; `None` when each needs its own.
    pub fn for_rows(&self, rows: usize) -> Option<String> {
        let width = self.params.len();
        match self.several.as_ref()? {
            Several::Insert(head) => {
                let mut sql = String::with_capacity(head.len() + rows * (width * 5 + 3));
                sql.push_str(head);
                for row in 0..rows {
                    sql.push_str(if row == 0 { "(" } else { ", (" });
                    for column in 0..width {
                        if column > 0 {
                            sql.push_str(", ");
                        }
                        sql.push('$');
                        sql.push_str(&(row * width + column + 1).to_string());
                    }
                    sql.push(')');
                }
                Some(sql)
            }
            Several::Delete(head, key_type) => {
                let keys: Vec<String> = (1..=rows).map(|n| format!("${n}::{key_type}")).collect();
                Some(format!("{head} any (array[{}])", keys.join(", ")))
            }
        }
    }
}

/// Names of the values that an event carries.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// The row's columns; the n-th is value n. A name that occurs twice counts where it occurs last.
    pub columns: &'a [&'a str],
    /// Key columns, each with the number of its value.
    pub key: &'a [(&'a str, usize)],
}

/// The columns of an event, found in the table.
struct Present<'a> {
    table: &'a TableShape,
    columns: Vec<(usize, &'a Column)>,
    key: Vec<(usize, &'a Column)>,
}

impl<'a> Present<'a> {
    fn new(table: &'a TableShape, carried: Carried<'_>) -> Result<Self> {
        let find = |name: &str| table.column(name).ok_or_else(|| unknown_column(table, name));
        let mut columns: Vec<(usize, &Column)> = Vec::with_capacity(carried.columns.len());
        for (index, name) in carried.columns.iter().enumerate() {
            let column = find(name)?;
            match columns.iter_mut().find(|(_, c)| c.name == column.name) {
                Some(earlier) => earlier.0 = index,
                None => columns.push((index, column)),
            }
        }
        let key = carried.key.iter().map(|(name, index)| Ok((*index, find(name)?))).collect::<Result<_>>()?;
        Ok(Present { table, columns, key })
    }

    fn require_key(&self) -> Result<()> {
        if self.key.is_empty() {
            return Err(Error::data(format!(
                "the event changes a row of {} but names no key columns",
                self.table.name
            ))
            .hint("give the table on the root a primary key, or name columns with --trigger-arg=pkey=..., then add it again"));
        }
        Ok(())
    }
}

/// The event carries a column that the table lacks.
fn unknown_column(table: &TableShape, column: &str) -> Error {
    Error::state(format!(
        "table {} has no column \"{column}\" on this node, but the events carry it",
        table.name
    ))
    .hint(format!(
        "add the column here (alter table {} add column {} ...); the worker goes on by itself",
        table.sql,
        quote::ident(column)
    ))
}

fn only(table: &TableShape) -> &'static str {
    if table.partitioned { "" } else { "only " }
}

fn conditions(key: &[(usize, &Column)], is_null: &dyn Fn(usize) -> bool, params: &mut Vec<usize>) -> String {
    let mut sql = String::new();
    for (i, (index, column)) in key.iter().enumerate() {
        if i > 0 {
            sql.push_str(" and ");
        }
        let name = quote::ident(&column.name);
        if is_null(*index) {
            sql.push_str(&format!("{name} is null"));
        } else {
            params.push(*index);
            let (name, equals) = (column.compared(&name), &column.equals);
            sql.push_str(&format!("{name} {equals} ${}::{}", params.len(), column.key_type()));
        }
    }
    sql
}

/// The statement for a change, or `None` when the change leaves the row as it is.
///
/// `is_null` tells which values are NULL; it matters for keys only.
///
/// # Errors
/// [`skytools::ErrorKind::State`] when the table lacks a column of the event, [`skytools::ErrorKind::Data`] when the
/// event lacks its key.
pub fn plan(
    table: &TableShape,
    op: Op,
    carried: Carried<'_>,
    is_null: &dyn Fn(usize) -> bool,
) -> Result<Option<Plan>> {
    let present = Present::new(table, carried)?;
    match op {
        Op::Insert => Ok(Some(insert(&present))),
        Op::Update => update(&present, is_null),
        Op::Delete => {
            present.require_key()?;
            let mut params = Vec::new();
            let condition = conditions(&present.key, is_null, &mut params);
            let sql = format!("delete from {}{} where {condition}", only(table), table.sql);
            let several = match present.key[..] {
                [(index, column)] if !is_null(index) && column.listable => {
                    let name = column.compared(&quote::ident(&column.name));
                    let head =
                        format!("delete from {}{} where {name} {}", only(table), table.sql, column.equals);
                    Some(Several::Delete(head, column.key_type().to_owned()))
                }
                _ => None,
            };
            Ok(Some(Plan { sql, params, several }))
        }
        Op::Truncate => {
            let sql = format!("truncate {}{} cascade", only(table), table.sql);
            Ok(Some(Plan { sql, params: Vec::new(), several: None }))
        }
    }
}

fn insert(present: &Present<'_>) -> Plan {
    let written: Vec<_> = present.columns.iter().filter(|(_, c)| !c.generated).collect();
    let table = &present.table.sql;
    if written.is_empty() {
        return Plan {
            sql: format!("insert into {table} default values"),
            params: Vec::new(),
            several: None,
        };
    }
    let names: Vec<String> = written.iter().map(|(_, c)| quote::ident(&c.name)).collect();
    let overriding =
        if written.iter().any(|(_, c)| c.identity_always) { " overriding system value" } else { "" };
    let head = format!("insert into {table} ({}){overriding} values ", names.join(", "));
    let mut plan = Plan {
        sql: String::new(),
        params: written.iter().map(|(index, _)| *index).collect(),
        several: Some(Several::Insert(head)),
    };
    plan.sql = plan.for_rows(1).unwrap_or_default();
    plan
}

fn update(present: &Present<'_>, is_null: &dyn Fn(usize) -> bool) -> Result<Option<Plan>> {
    present.require_key()?;
    let key = &present.key;
    let is_key = |column: &Column| key.iter().any(|(_, k)| k.name == column.name);
    let mut params = Vec::new();
    let mut sets = Vec::new();
    for (index, column) in &present.columns {
        // A key is written only where an equal value may look different: the origin may have changed 1.0 into 1.00.
        if column.generated || column.identity_always || (is_key(column) && !column.inexact) {
            continue;
        }
        params.push(*index);
        sets.push(format!("{} = ${}", quote::ident(&column.name), params.len()));
    }
    let numbers: Vec<_> = present.columns.iter().filter(|(_, c)| c.identity_always && !is_key(c)).collect();
    if !numbers.is_empty() {
        return Ok(Some(replace(present, &numbers, is_null)));
    }
    if sets.is_empty() {
        return Ok(None);
    }
    let condition = conditions(key, is_null, &mut params);
    let table = present.table;
    let sql = format!("update {}{} set {} where {condition}", only(table), table.sql, sets.join(", "));
    Ok(Some(Plan { sql, params, several: None }))
}

/// An update where columns outside the key are `generated always as identity`.
///
/// UPDATE may not write those, but they may have changed: the origin's may be plain columns, and there is `set n = default`. A row whose numbers
/// are others goes, and comes back with them; what the event does not carry it keeps. Where going would be noticed by rows that refer to it,
/// such a change fails: the words of the error are those of a value that is no number.
fn replace(present: &Present<'_>, numbers: &[&(usize, &Column)], is_null: &dyn Fn(usize) -> bool) -> Plan {
    let table = present.table;
    let name = |column: &Column| quote::ident(&column.name);
    let written: Vec<_> = present.columns.iter().filter(|(_, c)| !c.generated).collect();
    let mut params: Vec<usize> = written.iter().map(|(index, _)| *index).collect();
    let value = |column: &Column| {
        let at = written.iter().position(|(_, c)| c.name == column.name).map_or(0, |at| at + 1);
        format!("${at}::{}", column.type_sql)
    };
    let same: Vec<String> =
        numbers.iter().map(|(_, c)| format!("{} is not distinct from {}", name(c), value(c))).collect();
    let same = same.join(" and ");
    let mut sets: Vec<String> = written
        .iter()
        .filter(|(_, c)| {
            !c.identity_always && (c.inexact || present.key.iter().all(|(_, k)| k.name != c.name))
        })
        .map(|(_, c)| format!("{} = {}", name(c), value(c)))
        .collect();
    if sets.is_empty() {
        // so that the row counts as found
        sets = present.key.iter().take(1).map(|(_, k)| format!("{0} = t.{0}", name(k))).collect();
    }
    let condition = conditions(&present.key, is_null, &mut params);
    let rest: Vec<String> = table
        .columns
        .iter()
        .filter(|c| !c.generated && written.iter().all(|(_, w)| w.name != c.name))
        .map(name)
        .collect();
    let names: Vec<String> = written.iter().map(|(_, c)| name(c)).chain(rest.iter().cloned()).collect();
    let values: Vec<String> =
        written.iter().map(|(_, c)| value(c)).chain(rest.iter().map(|r| format!("gone.{r}"))).collect();
    if table.deletes_act {
        let columns = numbers.iter().map(|(_, c)| name(c)).collect::<Vec<_>>().join(", ");
        let why = format!(
            "{columns} of {} is GENERATED ALWAYS AS IDENTITY and has another value on the origin, and foreign keys act when the row is replaced: \
             ALTER COLUMN ... SET GENERATED BY DEFAULT on this node",
            table.sql
        );
        let only = only(table);
        let sql = format!(
            // Each parameter has to stand somewhere; `carried` is never asked.
            "with carried as (select {carried}), \
                  kept as (update {only}{table} t set {sets} where {condition} and {same} returning 1), \
                  differs as (select (case when t.tableoid is null then '0' else {why} end)::pg_catalog.int4 as failed \
                                from {only}{table} t where {condition} and not ({same})) \
             select from kept union all select from differs where failed is not null",
            table = table.sql,
            sets = sets.join(", "),
            why = quote::literal(&why),
            carried = written.iter().map(|(_, c)| value(c)).collect::<Vec<_>>().join(", "),
        );
        return Plan { sql, params, several: None };
    }
    let returned = if rest.is_empty() { "1".to_owned() } else { rest.join(", ") };
    let only = only(table);
    let sql = format!(
        "with kept as (update {only}{table} t set {sets} where {condition} and {same} returning 1), \
              gone as (delete from {only}{table} where {condition} and not ({same}) returning {returned}), \
              back as (insert into {table} ({names}) overriding system value select {values} from gone returning 1) \
         select from kept union all select from back",
        table = table.sql,
        sets = sets.join(", "),
        names = names.join(", "),
        values = values.join(", "),
    );
    Plan { sql, params, several: None }
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::column;
    use super::*;

    fn table() -> TableShape {
        let mut generated = column("gen", "integer");
        generated.generated = true;
        let mut amount = column("amount", "numeric");
        amount.inexact = true;
        let mut tag = column("Tag", "public.citext");
        tag.inexact = true;
        tag.equals = "operator(public.=)".to_owned();
        TableShape::from_parts(
            "public.t",
            1,
            false,
            vec![column("id", "bigint"), column("note", "text"), generated, amount, tag],
            vec!["id".to_owned()],
        )
    }

    fn carried(table: &TableShape, op: Op, names: &[&str], key: &[&str]) -> Result<Option<Plan>> {
        let key: Vec<(&str, usize)> =
            key.iter().map(|k| (*k, names.iter().position(|n| n == k).unwrap())).collect();
        plan(table, op, Carried { columns: names, key: &key }, &|_| false)
    }

    fn make(op: Op, names: &[&str], key: &[&str]) -> Option<Plan> {
        carried(&table(), op, names, key).unwrap()
    }

    fn normal(sql: &str) -> String {
        sql.replace(['"'], "")
    }

    #[test]
    fn insert_leaves_out_generated_columns() {
        let plan = make(Op::Insert, &["id", "gen", "note"], &["id"]).unwrap();
        assert_eq!(normal(&plan.sql), "insert into public.t (id, note) values ($1, $2)");
        assert_eq!(plan.params, [0, 2]);
        assert_eq!(
            normal(&plan.for_rows(2).unwrap()),
            "insert into public.t (id, note) values ($1, $2), ($3, $4)"
        );
    }

    #[test]
    fn deletes_by_a_key_of_one_column_share_a_statement() {
        let one = make(Op::Delete, &["id", "note"], &["id"]).unwrap();
        let several = normal(&one.for_rows(2).unwrap());
        assert_eq!(several, "delete from only public.t where id = any (array[$1::bigint, $2::bigint])");
        assert!(make(Op::Delete, &["id", "note"], &["id", "note"]).unwrap().for_rows(2).is_none());
        assert!(!make(Op::Update, &["id", "note"], &["id"]).unwrap().takes_several());
    }

    #[test]
    fn no_array_lists_keys_that_are_arrays() {
        let mut key = column("id", "integer[]");
        key.listable = false;
        let table = TableShape::from_parts("public.t", 1, false, vec![key], Vec::new());
        let plan = carried(&table, Op::Delete, &["id"], &["id"]).unwrap().unwrap();
        assert_eq!(normal(&plan.sql), "delete from only public.t where id = $1::integer[]");
        assert!(!plan.takes_several());
    }

    #[test]
    fn both_sides_are_compared_as_the_type_that_the_operator_takes() {
        let mut key = column("id", "public.kinds");
        key.compared_as = Some("public.kind".to_owned());
        let columns = vec![key, column("note", "text")];
        let table = TableShape::from_parts("public.t", 1, false, columns, Vec::new());
        let update = carried(&table, Op::Update, &["id", "note"], &["id"]).unwrap().unwrap();
        assert_eq!(
            normal(&update.sql),
            "update only public.t set note = $1 where id::public.kind = $2::public.kind"
        );
        let delete = carried(&table, Op::Delete, &["id"], &["id"]).unwrap().unwrap();
        assert_eq!(
            normal(&delete.for_rows(2).unwrap()),
            "delete from only public.t where id::public.kind = any (array[$1::public.kind, $2::public.kind])"
        );
    }

    #[test]
    fn insert_of_nothing_but_generated_columns() {
        assert_eq!(
            normal(&make(Op::Insert, &["gen"], &[]).unwrap().sql),
            "insert into public.t default values"
        );
    }

    #[test]
    fn update_writes_all_but_the_exact_key() {
        let plan = make(Op::Update, &["id", "note", "gen"], &["id"]).unwrap();
        assert_eq!(normal(&plan.sql), "update only public.t set note = $1 where id = $2::bigint");
        assert_eq!(plan.params, [1, 0]);
    }

    #[test]
    fn update_writes_a_key_whose_equal_values_may_differ_in_text() {
        let plan = make(Op::Update, &["amount", "Tag"], &["amount", "Tag"]).unwrap();
        assert_eq!(
            normal(&plan.sql),
            "update only public.t set amount = $1, Tag = $2 where amount = $3::numeric and Tag operator(public.=) $4::public.citext"
        );
        assert_eq!(plan.params, [0, 1, 0, 1]);
    }

    #[test]
    fn update_of_the_key_alone_changes_nothing() {
        assert_eq!(make(Op::Update, &["id"], &["id"]), None);
        assert_eq!(make(Op::Update, &["id", "gen"], &["id"]), None);
    }

    #[test]
    fn null_in_a_key_is_compared_as_null() {
        let carried = Carried { columns: &["id", "note"], key: &[("id", 0), ("note", 1)] };
        let plan = plan(&table(), Op::Delete, carried, &|i| i == 1).unwrap().unwrap();
        assert_eq!(normal(&plan.sql), "delete from only public.t where id = $1::bigint and note is null");
        assert_eq!(plan.params, [0]);
    }

    #[test]
    fn key_values_may_stand_apart_from_the_row() {
        let carried = Carried { columns: &["note"], key: &[("id", 1)] };
        let plan = plan(&table(), Op::Update, carried, &|_| false).unwrap().unwrap();
        assert_eq!(normal(&plan.sql), "update only public.t set note = $1 where id = $2::bigint");
        assert_eq!(plan.params, [0, 1]);
    }

    #[test]
    fn identity_columns_are_inserted_and_a_row_with_another_number_is_replaced() {
        let mut identity = column("id", "bigint");
        identity.identity_always = true;
        let table =
            TableShape::from_parts("public.t", 1, false, vec![identity, column("v", "text")], Vec::new());
        let insert = carried(&table, Op::Insert, &["id", "v"], &[]).unwrap().unwrap();
        assert!(insert.sql.contains("overriding system value values"), "{}", insert.sql);
        let update = carried(&table, Op::Update, &["id", "v"], &["v"]).unwrap().unwrap();
        assert_eq!(
            normal(&update.sql),
            "with kept as (update only public.t t set v = t.v where v = $3::text and id is not distinct from $1::bigint returning 1), \
                  gone as (delete from only public.t where v = $3::text and not (id is not distinct from $1::bigint) returning 1), \
                  back as (insert into public.t (id, v) overriding system value select $1::bigint, $2::text from gone returning 1) \
             select from kept union all select from back"
        );
        assert_eq!(update.params, [0, 1, 1]);
        assert_eq!(carried(&table, Op::Update, &["id", "v"], &["id"]).unwrap().unwrap().params, [1, 0]);
    }

    #[test]
    fn errors_name_table_column_and_next_step() {
        let error = carried(&table(), Op::Insert, &["nosuch"], &[]).unwrap_err();
        assert!(error.to_string().contains("public.t") && error.to_string().contains("nosuch"));
        assert!(error.hint_text().unwrap().contains("add column"));
        assert!(carried(&table(), Op::Delete, &["id"], &[]).is_err());
        assert!(carried(&table(), Op::Update, &["id"], &[]).is_err());
    }

    #[test]
    fn truncate_takes_dependants_along_but_not_children() {
        assert_eq!(normal(&make(Op::Truncate, &[], &[]).unwrap().sql), "truncate only public.t cascade");
    }

    #[test]
    fn a_name_that_comes_twice_counts_once() {
        let plan = make(Op::Insert, &["note", "id", "note"], &[]).unwrap();
        assert_eq!(plan.params, [2, 1]);
    }
}
