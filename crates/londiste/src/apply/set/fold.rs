//! The SQL of set-based apply for one table. No I/O.
//!
//! Two temporary tables of the session take part. The *stage* holds every event: a number that is four times its place
//! in the order plus its operation, the key, and for inserts and updates the other columns. The *fold* holds one row per
//! key, made by the server with the key type's own equality:
//!
//! | column | meaning |
//! |---|---|
//! | `n` | events of the key |
//! | `last` | number of the last event, whose values the row ends with |
//! | `drops` | the first insert or delete is a delete: a row that is here goes |
//! | `updates` | no insert, no delete: a row that is here is updated |
//! | `inserts` | the last insert or delete is an insert: a row is inserted |
//! | `ghost` | inserted and deleted again: nothing to do, but a row that is here already would have been an error |
//! | `prefix` | events that miss their row if there is none at first |
//! | `missing` | events that miss their row in any case |
//! | `complex` | `prefix` and `missing` depend on the order of the events between first and last |
//! | `bad` | an insert follows an insert: an error in any case |

use skytools::quote::{ident, literal};

use super::decide::{Expression, Facts, Why};
use crate::apply::target::{Column, TableShape};

/// A key that was inserted and deleted again, in memory. As the operations of an event, it is the two low bits of the
/// number in the stage. The lowest bit says that the row has values.
pub const GHOST: u64 = 0;
/// Operation of an event.
pub const UPDATE: u64 = 1;
/// See [`UPDATE`].
pub const DELETE: u64 = 2;
/// See [`UPDATE`].
pub const INSERT: u64 = 3;

/// `interval` and its array: a modifier changes how their text is read, so they are staged without.
const INTERVALS: [u32; 2] = [1186, 1187];

/// The statements for one table and one list of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSql {
    /// Creates the two temporary tables.
    pub create: String,
    /// COPY into the stage: number, then the columns in the order in which they were given.
    pub copy: String,
    /// Empties both, for a second round in the same transaction.
    pub clear: String,
    /// Drops both.
    pub drop: String,
    /// Fills the fold; answers with rows whose first column says what they are:
    /// `size`: bytes of the longest value that is indexed;
    /// `fold`: events missing in any case, events that might miss their row, whether an insert followed an insert;
    /// `ghost`: keys that are here and should not.
    pub fold: String,
    /// Deletes; answers `found`: events that might have missed their row and did not.
    pub delete: String,
    /// Updates; answers as `delete`. `None`: updates change nothing.
    pub update: Option<String>,
    /// Inserts.
    pub insert: String,
    /// The same for changes that were folded in memory.
    pub net: NetSql,
}

/// Statements for a stage that holds one row per key and operation; its number is four times the changes that miss their
/// row if there is none, plus the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetSql {
    /// COPY straight into the table, where that reads values as an insert does and is allowed.
    pub direct: Option<String>,
    /// Answers `ghost`: keys that are here and should not.
    pub ghosts: String,
    /// Deletes; answers `found`.
    pub delete: String,
    /// Updates; answers `found`. `None`: updates change nothing.
    pub update: Option<String>,
    /// Inserts.
    pub insert: String,
}

/// A staged column.
struct Staged<'a> {
    column: &'a Column,
    /// As name in all three tables.
    sql: String,
    /// The type in the stage.
    stage_type: &'a str,
    user_type: bool,
    key: bool,
    indexed: bool,
}

impl Staged<'_> {
    /// The value out of the stage, in the column's type.
    fn value(&self, table: &str) -> String {
        if self.user_type {
            format!("{table}.{}::{}", self.sql, self.column.type_sql)
        } else {
            format!("{table}.{}", self.sql)
        }
    }

    fn exact_type(&self) -> bool {
        !self.user_type && self.stage_type == self.column.full_type
    }
}

/// A name for the number that no column has.
fn number_name(shape: &TableShape) -> String {
    let mut name = "ev_number".to_owned();
    while shape.column(&name).is_some() {
        name.push('_');
    }
    name
}

impl SetSql {
    /// Builds the statements. `names` are the columns that inserts and updates carry, none of them generated; `tag`
    /// makes the names of the temporary tables unique in the session.
    ///
    /// # Errors
    /// Why the table cannot be staged faithfully.
    pub fn build(shape: &TableShape, facts: &Facts, names: &[&str], tag: u64) -> Result<Self, Why> {
        let mut staged = Vec::new();
        for name in names {
            let (Some(column), Some(fact)) = (shape.column(name), facts.column(name)) else {
                return Err(Why::EventColumns);
            };
            let key = facts.key().iter().any(|k| k == name);
            let plain = key || INTERVALS.contains(&column.base_oid);
            let stage_type = match (fact.user_type, plain) {
                (true, _) => "pg_catalog.text",
                (false, true) => column.type_sql.as_str(),
                (false, false) => column.full_type.as_str(),
            };
            staged.push(Staged {
                column,
                sql: ident(name),
                stage_type,
                user_type: fact.user_type,
                key,
                indexed: fact.indexed,
            });
        }
        let keys: Vec<(&Staged<'_>, Option<&str>)> = facts
            .key()
            .iter()
            .map(|k| {
                let found = staged.iter().find(|s| s.column.name == *k).ok_or(Why::EventKey)?;
                Ok((found, facts.column(k).and_then(|f| f.collation.as_deref())))
            })
            .collect::<Result<_, Why>>()?;
        let number = ident(&number_name(shape));
        let parts = Parts {
            shape,
            stage: format!("pg_temp.londiste_stage_{tag}"),
            fold: format!("pg_temp.londiste_fold_{tag}"),
            number,
            staged: &staged,
            expressions: &facts.expressions,
            keys,
        };
        let constraints = parts.constraints(facts)?;
        Ok(SetSql {
            create: parts.create(&constraints),
            copy: parts.copy(),
            clear: format!("truncate {}, {}", parts.stage, parts.fold),
            drop: format!("drop table if exists {}, {}", parts.stage, parts.fold),
            fold: parts.fold(),
            delete: parts.delete(),
            update: parts.update(),
            insert: parts.insert(&format!(
                "{} f join {} s on s.{} = f.last where f.inserts",
                parts.fold, parts.stage, parts.number
            )),
            net: parts.net(facts.may_copy),
        })
    }
}

struct Parts<'a> {
    shape: &'a TableShape,
    stage: String,
    fold: String,
    number: String,
    staged: &'a [Staged<'a>],
    expressions: &'a [Expression],
    /// With the collation that makes texts equal, where bytes do not say it.
    keys: Vec<(&'a Staged<'a>, Option<&'a str>)>,
}

impl Parts<'_> {
    /// What ordered replay would have the table itself check, event by event.
    fn constraints(&self, facts: &Facts) -> Result<Vec<String>, Why> {
        let passes = format!("{} & 1 = 0", self.number);
        let mut all = Vec::new();
        for staged in self.staged {
            let not_null = facts.column(&staged.column.name).is_some_and(|f| f.not_null);
            if not_null && !staged.key {
                all.push(format!("check ({passes} or {} is not null)", staged.sql));
            }
            if staged.key && !staged.user_type && !staged.exact_type() {
                // The modifier may not change which key it is.
                let (sql, column) = (&staged.sql, staged.column);
                let cut = format!("{sql}::{}::{}", column.full_type, column.type_sql);
                all.push(format!("check ({cut} {} {sql})", column.equals));
            }
        }
        for check in &facts.checks {
            let known = check.columns.as_ref().is_some_and(|names| {
                names.iter().all(|n| self.staged.iter().any(|s| s.column.name == *n && s.exact_type()))
            });
            if !known {
                return Err(Why::CheckColumn(check.name.clone()));
            }
            all.push(format!("check ({passes} or ({}))", check.condition));
        }
        Ok(all)
    }

    /// Rows go at commit, in place: no catalog row is written after the tables are created.
    fn create(&self, constraints: &[String]) -> String {
        let mut columns = vec![format!("{} bigint not null", self.number)];
        for staged in self.staged {
            let not_null = if staged.key { " not null" } else { "" };
            columns.push(format!("{} {}{not_null}", staged.sql, staged.stage_type));
        }
        columns.extend_from_slice(constraints);
        let keys: Vec<String> =
            self.keys.iter().enumerate().map(|(i, (k, _))| format!("k{i} {}", k.stage_type)).collect();
        format!(
            "create table {} ({}) on commit delete rows; \
             create table {} ({}, n bigint, last bigint, prefix bigint, missing bigint, drops boolean, updates boolean, \
             inserts boolean, ghost boolean, complex boolean, bad boolean) on commit delete rows",
            self.stage,
            columns.join(", "),
            self.fold,
            keys.join(", ")
        )
    }

    fn copy(&self) -> String {
        let names: Vec<&str> = self.staged.iter().map(|s| s.sql.as_str()).collect();
        format!("copy {} ({}, {}) from stdin", self.stage, self.number, names.join(", "))
    }

    /// The key of the fold and the key of another table, compared as the key's index compares.
    fn same_key(&self, other: &str, of_stage: bool) -> String {
        let mut sql = String::new();
        for (i, (key, _)) in self.keys.iter().enumerate() {
            let cast = if key.user_type { format!("::{}", key.column.type_sql) } else { String::new() };
            let theirs = if of_stage { key.value(other) } else { format!("{other}.{}", key.sql) };
            if i > 0 {
                sql.push_str(" and ");
            }
            sql.push_str(&format!(
                "{theirs}{} {} f.k{i}{cast}",
                self.collate(i, of_stage),
                key.column.equals
            ));
        }
        sql
    }

    fn collate(&self, key: usize, of_stage: bool) -> String {
        match self.keys[key].1 {
            Some(collation) if of_stage => format!(" collate {collation}"),
            _ => String::new(),
        }
    }

    fn fold(&self) -> String {
        let (stage, fold, number) = (&self.stage, &self.fold, &self.number);
        let mut groups = Vec::new();
        let mut kept = Vec::new();
        let mut names = Vec::new();
        for (i, (key, _)) in self.keys.iter().enumerate() {
            let group = format!("{}{}", key.value("s"), self.collate(i, true));
            kept.push(if key.user_type {
                format!("min(s.{}) as k{i}", key.sql)
            } else {
                format!("{group} as k{i}")
            });
            groups.push(group);
            names.push(format!("k{i}"));
        }
        let (names, kept, groups) = (names.join(", "), kept.join(", "), groups.join(", "));
        let read = self.read();
        format!(
            "{read}insert into {fold} \
             select {names}, n, last, \
               case when first_id is null or (last & 3 = {DELETE} and ids = 1) then n \
                    when first & 3 = {DELETE} then 1 else 0 end, \
               case when first & 3 = {DELETE} and last & 3 = {INSERT} and ids = 2 then n - 2 else 0 end, \
               coalesce(first_id & 3 = {DELETE}, false), first_id is null, coalesce(last_id & 3 = {INSERT}, false), \
               coalesce(first_id & 3 = {INSERT} and last_id & 3 = {DELETE}, false), \
               not (ids = 0 \
                    or (ids = 1 and (first & 3 = {INSERT} or last & 3 = {DELETE})) \
                    or (ids = 2 and first & 3 <> {UPDATE} and last & 3 <> {UPDATE} and first & 3 <> last & 3)), \
               false \
             from (select {kept}, count(*) as n, min(s.{number}) as first, max(s.{number}) as last, \
                     count(*) filter (where s.{number} & 3 <> {UPDATE}) as ids, \
                     min(s.{number}) filter (where s.{number} & 3 <> {UPDATE}) as first_id, \
                     max(s.{number}) filter (where s.{number} & 3 <> {UPDATE}) as last_id \
                   from {stage} s group by {groups}) g; \
             update {fold} g set \
               prefix = case when x.ops ~ '^U*D' then length(substring(x.ops from '^U*D')) else 0 end, \
               missing = length(x.ops) - length(regexp_replace(x.ops, 'D[UD]*', 'D', 'g')) \
                       + case when x.ops ~ '^U*I' then length(substring(x.ops from '^U*I')) - 1 else 0 end, \
               bad = x.ops ~ 'IU*I' \
             from (select f.ctid as place, \
                     string_agg(case s.{number} & 3 when {UPDATE} then 'U' when {DELETE} then 'D' else 'I' end, '' \
                                order by s.{number}) as ops \
                   from {fold} f join {stage} s on {joined} where f.complex group by f.ctid) x \
             where g.ctid = x.place; \
             select 'fold', coalesce(sum(missing), 0), coalesce(sum(prefix) filter (where drops or updates), 0), \
                    coalesce(bool_or(bad), false) from {fold}; \
             select 'ghost', count(*) from {fold} f join only {target} t on {target_joined} where f.ghost",
            joined = self.same_key("s", true),
            target = self.shape.sql,
            target_joined = self.same_key("t", false),
        )
    }

    /// Has the server read and compute everything of the rows that no row ends with as well, as it would in replay: values of
    /// the user's types, expressions, and the size of what is indexed.
    fn read(&self) -> String {
        let columns: Vec<String> =
            self.staged.iter().map(|s| format!("{} as {}", s.value("s"), s.sql)).collect();
        let mut read: Vec<String> = self
            .staged
            .iter()
            .filter(|s| s.user_type && !s.key)
            .map(|s| format!("count({})", s.sql))
            .collect();
        for computed in self.expressions {
            let condition =
                computed.condition.as_ref().map_or(String::new(), |c| format!(" filter (where {c})"));
            read.push(format!("count(({})){condition}", computed.sql));
        }
        let sizes: Vec<String> = self
            .staged
            .iter()
            .filter(|s| s.indexed)
            .map(|s| format!("pg_catalog.max(pg_catalog.octet_length({}::pg_catalog.text))", s.sql))
            .collect();
        let rows = format!(
            "from (select {} from {} s where s.{} & 1 = 1) s",
            columns.join(", "),
            self.stage,
            self.number
        );
        let mut sql = String::new();
        if !sizes.is_empty() {
            sql.push_str(&format!("select 'size', coalesce(greatest({}), 0) {rows}; ", sizes.join(", ")));
        }
        if !read.is_empty() {
            sql.push_str(&format!("select 'read', {} {rows}; ", read.join(", ")));
        }
        sql
    }

    fn delete(&self) -> String {
        format!(
            "with gone as (delete from only {} t using {} f where f.drops and {} returning f.prefix) \
             select 'found', coalesce(sum(prefix), 0) from gone",
            self.shape.sql,
            self.fold,
            self.same_key("t", false)
        )
    }

    fn update(&self) -> Option<String> {
        let sets = self.sets()?;
        Some(format!(
            "with changed as (update only {} t set {sets} from {} f join {} s on s.{} = f.last \
             where f.updates and {} returning f.prefix) \
             select 'found', coalesce(sum(prefix), 0) from changed",
            self.shape.sql,
            self.fold,
            self.stage,
            self.number,
            self.same_key("t", false)
        ))
    }

    /// What an update writes.
    fn sets(&self) -> Option<String> {
        let sets: Vec<String> = self
            .staged
            .iter()
            .filter(|s| !s.column.identity_always && (!s.key || s.column.inexact))
            .map(|s| format!("{} = {}", s.sql, s.value("s")))
            .collect();
        (!sets.is_empty()).then(|| sets.join(", "))
    }

    fn net(&self, may_copy: bool) -> NetSql {
        let (stage, number, target) = (&self.stage, &self.number, &self.shape.sql);
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|(key, _)| format!("t.{} {} s.{}", key.sql, key.column.equals, key.sql))
            .collect();
        let keys = keys.join(" and ");
        let names: Vec<&str> = self.staged.iter().map(|s| s.sql.as_str()).collect();
        // Only for an interval does a modifier change how its text is read.
        let direct = may_copy && self.staged.iter().all(|s| s.key || s.user_type || s.exact_type());
        NetSql {
            direct: direct.then(|| format!("copy {target} ({}) from stdin", names.join(", "))),
            ghosts: format!(
                "select 'ghost', count(*) from {stage} s join only {target} t on {keys} where s.{number} & 3 = {GHOST}"
            ),
            delete: format!(
                "with gone as (delete from only {target} t using {stage} s where s.{number} & 3 = {DELETE} and {keys} \
                 returning s.{number} >> 2 as early) select 'found', coalesce(sum(early), 0) from gone"
            ),
            update: self.sets().map(|sets| {
                format!(
                    "with changed as (update only {target} t set {sets} from {stage} s where s.{number} & 3 = {UPDATE} \
                     and {keys} returning s.{number} >> 2 as early) select 'found', coalesce(sum(early), 0) from changed"
                )
            }),
            insert: self.insert(&format!("{stage} s where s.{number} & 3 = {INSERT}")),
        }
    }

    fn insert(&self, from: &str) -> String {
        let names: Vec<&str> = self.staged.iter().map(|s| s.sql.as_str()).collect();
        let values: Vec<String> = self.staged.iter().map(|s| s.value("s")).collect();
        let overriding = if self.staged.iter().any(|s| s.column.identity_always) {
            " overriding system value"
        } else {
            ""
        };
        format!(
            "insert into {} ({}){overriding} select {} from {from}",
            self.shape.sql,
            names.join(", "),
            values.join(", ")
        )
    }
}

/// Settings for the set statements, and back to those of single statements. Sets want scans and hash tables.
pub fn settings(begin: bool) -> String {
    if begin {
        format!(
            "set local enable_seqscan = on; select 'work_mem', pg_catalog.set_config('work_mem', {}, true) \
             where pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < 67108864",
            literal("64MB")
        )
    } else {
        "set local enable_seqscan = off".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::facts;
    use super::super::decide::{Check, ColumnFacts};
    use super::*;
    use crate::apply::target::tests::column;

    fn shape() -> TableShape {
        let columns = vec![column("id", "bigint"), column("v", "text")];
        TableShape::from_parts("public.t", 1, false, columns, vec!["id".to_owned()])
    }

    fn build(shape: &TableShape, facts: &Facts) -> Result<SetSql, Why> {
        SetSql::build(shape, facts, &["id", "v"], 7)
    }

    #[test]
    fn the_statements_name_stage_fold_and_table() {
        let sql = build(&shape(), &facts()).unwrap();
        assert!(sql.copy.contains("londiste_stage_7 (ev_number, id, v) from stdin"), "{}", sql.copy);
        assert!(sql.create.contains("id bigint not null"), "{}", sql.create);
        assert!(sql.delete.contains("delete from only public.t t using"), "{}", sql.delete);
        let update = sql.update.unwrap();
        assert!(update.contains("set v = s.v from"), "{update}");
        assert!(sql.insert.contains("(id, v) select s.id, s.v"), "{}", sql.insert);
    }

    #[test]
    fn a_key_is_grouped_and_compared_by_its_own_equality() {
        let mut citext = column("id", "public.citext");
        citext.inexact = true;
        citext.equals = "operator(public.=)".to_owned();
        let columns = vec![citext, column("v", "text")];
        let shape = TableShape::from_parts("public.t", 1, false, columns, vec!["id".to_owned()]);
        let mut facts = facts();
        facts.columns[0].user_type = true;
        let sql = build(&shape, &facts).unwrap();
        assert!(sql.create.contains("id pg_catalog.text not null"), "{}", sql.create);
        assert!(sql.fold.contains("group by s.id::public.citext"), "{}", sql.fold);
        assert!(sql.delete.contains("t.id operator(public.=) f.k0::public.citext"), "{}", sql.delete);
        assert!(sql.update.unwrap().contains("set id = s.id::public.citext, v = s.v"));
        facts.columns[0].user_type = false;
        facts.columns[0].collation = Some("public.ci".to_owned());
        let sql = build(&shape, &facts).unwrap();
        assert!(sql.fold.contains("group by s.id collate public.ci"), "{}", sql.fold);
    }

    #[test]
    fn every_event_is_checked_as_the_table_checks_it() {
        let mut facts = facts();
        facts.columns[1].not_null = true;
        let columns = Some(vec!["v".to_owned()]);
        let check =
            Check { name: "c".to_owned(), condition: "v > 'a'".to_owned(), columns, ..Default::default() };
        facts.checks.push(check);
        let sql = build(&shape(), &facts).unwrap();
        assert!(sql.create.contains("check (ev_number & 1 = 0 or v is not null)"), "{}", sql.create);
        assert!(sql.create.contains("check (ev_number & 1 = 0 or (v > 'a'))"), "{}", sql.create);
        facts.checks[0].columns = Some(vec!["w".to_owned()]);
        assert_eq!(build(&shape(), &facts), Err(Why::CheckColumn("c".to_owned())));
    }

    #[test]
    fn a_modifier_may_not_make_another_key() {
        let mut key = column("id", "character varying");
        key.full_type = "character varying(5)".to_owned();
        let shape = TableShape::from_parts(
            "public.t",
            1,
            false,
            vec![key, column("v", "text")],
            vec!["id".to_owned()],
        );
        let sql = build(&shape, &facts()).unwrap();
        assert!(sql.create.contains("id character varying not null"), "{}", sql.create);
        assert!(
            sql.create.contains("check (id::character varying(5)::character varying = id)"),
            "{}",
            sql.create
        );
    }

    #[test]
    fn the_number_has_a_name_of_its_own() {
        let columns = vec![column("id", "bigint"), column("v", "text"), column("ev_number", "text")];
        let shape = TableShape::from_parts("public.t", 1, false, columns, vec!["id".to_owned()]);
        assert!(build(&shape, &facts()).unwrap().copy.contains("(ev_number_, id, v)"));
    }

    #[test]
    fn updates_of_nothing_but_the_key_have_no_statement() {
        let shape =
            TableShape::from_parts("public.t", 1, false, vec![column("id", "bigint")], vec!["id".to_owned()]);
        let mut facts = facts();
        facts.columns = vec![ColumnFacts { name: "id".to_owned(), not_null: true, ..Default::default() }];
        assert_eq!(SetSql::build(&shape, &facts, &["id"], 1).unwrap().update, None);
    }
}
