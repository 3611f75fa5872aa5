//! What the apply and copy paths need to know about a table: columns, and how its keys compare.

use std::collections::HashMap;

use skytools::{Error, Result, quote};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

/// Finds the relation without reading names as SQL; a row with NULL oid says that there is none.
const RELATION: &str = "select c.oid, c.relkind::text, c.relreplident::text, \
       pg_catalog.current_setting('session_replication_role') <> 'replica' and exists (select 1 from pg_catalog.pg_constraint f \
          where f.contype = 'f' and f.confrelid = c.oid and f.confdeltype in ('c', 'n', 'd')) \
     from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'f', 'v', 'm')";

/// Columns with the facts that decide how a value is written, compared and transferred; the base type of a domain decides.
/// `eq` is the equality of the type's default btree operator class; or else that of all such types (`poly`), or of the
/// default class that a unique index has found for the column, which may be that of a type to which the column's is
/// coerced; or else of its default hash class. `other`: there is an operator for just this type which the name alone might
/// find instead.
const COLUMNS: &str = "with recursive col as ( \
       select a.attnum, a.attname::text as name, a.atttypid as typid, a.atttypid as base, a.attgenerated::text as generated, \
              a.attidentity::text as identity, pg_catalog.format_type(a.atttypid, -1) as type_name, \
              pg_catalog.format_type(a.atttypid, a.atttypmod) as full_type, \
              coalesce(co.collisdeterministic, true) as deterministic \
         from pg_catalog.pg_attribute a left join pg_catalog.pg_collation co on co.oid = a.attcollation \
        where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped), \
     based as ( \
       select attnum, base from col \
       union all \
       select b.attnum, t.typbasetype from based b join pg_catalog.pg_type t on t.oid = b.base where t.typtype = 'd') \
     select col.name, col.typid, bt.oid, col.type_name, col.full_type, col.generated, col.identity, col.deterministic, \
            bt.typtype::text, eq.nspname::text, eq.oprname::text, \
            case when bt.typtype = 'e' and bt.oid <> col.typid then pg_catalog.format_type(bt.oid, -1) end, \
            ct.typarray <> 0, \
            exists (select 1 from pg_catalog.pg_operator x \
                     where x.oprname = '=' and x.oprnamespace <> 'pg_catalog'::regnamespace \
                       and x.oprleft = x.oprright and x.oprleft in (col.typid, bt.oid)) as other \
       from col \
       join based on based.attnum = col.attnum \
       join pg_catalog.pg_type bt on bt.oid = based.base and bt.typtype <> 'd' \
       join pg_catalog.pg_type ct on ct.oid = case when bt.typtype = 'e' then bt.oid else col.typid end \
       cross join lateral (select 'pg_catalog.' || case bt.typtype when 'e' then 'anyenum' when 'c' then 'record' \
              when 'r' then 'anyrange' when 'm' then 'anymultirange' \
              else case when bt.typelem <> 0 and bt.typlen = -1 then 'anyarray' end end as name) poly \
       left join lateral ( \
         select n.nspname, o.oprname from pg_catalog.pg_opclass oc \
           join pg_catalog.pg_am am on am.oid = oc.opcmethod and am.amname in ('btree', 'hash') \
           join pg_catalog.pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = oc.opcintype \
                and ao.amoprighttype = oc.opcintype and ao.amopstrategy = case am.amname when 'btree' then 3 else 1 end \
           join pg_catalog.pg_operator o on o.oid = ao.amopopr \
           join pg_catalog.pg_namespace n on n.oid = o.oprnamespace \
          where oc.opcdefault \
            and (oc.opcintype in (bt.oid, pg_catalog.to_regtype(poly.name)::oid) \
                 or bt.oid >= 16384 and oc.oid in ( \
                      select k.class from pg_catalog.pg_index i \
                       cross join lateral unnest(i.indclass::oid[], i.indkey::int2[]) with ordinality as k(class, attnum, nr) \
                       where i.indrelid = $1 and i.indisunique and k.attnum = col.attnum and k.nr <= i.indnkeyatts)) \
          order by am.amname, oc.opcintype <> bt.oid limit 1) eq on true \
      order by col.attnum";

/// Primary key columns in index order.
const KEY: &str = "select a.attname::text from pg_catalog.pg_index i \
     cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, nr) \
     join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
     where i.indrelid = $1 and i.indisprimary and k.nr <= i.indnkeyatts order by k.nr";

/// Types whose equal values have equal texts and equal bytes, so that an unchanged key needs no writing.
const EXACT: &[Type] = &[
    Type::BOOL,
    Type::BYTEA,
    Type::CHAR,
    Type::NAME,
    Type::INT8,
    Type::INT2,
    Type::INT4,
    Type::TEXT,
    Type::VARCHAR,
    Type::OID,
    Type::UUID,
    Type::DATE,
    Type::TIME,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
];

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Raw name.
    pub name: String,
    /// OID of the type, valid in this database only when 16384 or above.
    pub type_oid: u32,
    /// OID of the type below all domains.
    pub base_oid: u32,
    /// The base type's `typtype`: `b`, `e`, `c`, `r`, `m`, `p`.
    pub base_kind: char,
    /// Type without modifier, as SQL.
    pub type_sql: String,
    /// Type with modifier, as SQL.
    pub full_type: String,
    /// Whether the value is computed by the table.
    pub generated: bool,
    /// Whether the column is `generated always as identity`.
    pub identity_always: bool,
    /// Whether equal values may differ in text (numeric, citext, a non-deterministic collation, …).
    pub inexact: bool,
    /// The equality operator as SQL, as the type's index has it.
    pub equals: String,
    /// The type of both sides of a comparison, as SQL, where the operator does not take the column's own.
    pub compared_as: Option<String>,
    /// Whether values can be listed in an array: there are none of arrays.
    pub listable: bool,
}

impl Column {
    /// The type as which a value is compared with the column, as SQL.
    pub fn key_type(&self) -> &str {
        self.compared_as.as_deref().unwrap_or(&self.type_sql)
    }

    /// The column, or another value of its type, as it stands in a comparison.
    pub fn compared(&self, sql: &str) -> String {
        self.compared_as.as_ref().map_or_else(|| sql.to_owned(), |of| format!("{sql}::{of}"))
    }
}

/// A table as it is now.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// Raw `schema.table`.
    pub name: String,
    /// Quoted `schema.table`.
    pub sql: String,
    /// OID.
    pub oid: u32,
    /// Whether it is partitioned: then a statement with ONLY would touch nothing.
    pub partitioned: bool,
    /// Live columns in table order.
    pub columns: Vec<Column>,
    /// Primary key columns in index order; empty without a key.
    pub key: Vec<String>,
    /// Whether a row that this session deletes takes others along, or changes them: a foreign key says so, and triggers fire.
    pub deletes_act: bool,
    by_name: HashMap<String, usize>,
}

/// Splits `schema.table` at the first dot; without one the schema is `public`.
pub fn split_name(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("public", name))
}

impl TableShape {
    /// Reads the table, or `None` when there is no table of that name.
    ///
    /// # Errors
    /// Whatever the server reports; [`skytools::ErrorKind::State`] for a view or foreign table.
    pub async fn load<C: GenericClient + Sync>(client: &C, name: &str) -> Result<Option<Self>> {
        let (schema, table) = split_name(name);
        let Some(relation) =
            client.query_typed_opt(RELATION, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?
        else {
            return Ok(None);
        };
        let oid: u32 = relation.try_get(0)?;
        let kind: &str = relation.try_get(1)?;
        if !matches!(kind, "r" | "p") {
            return Err(Error::state(format!("{name} is not a table")));
        }
        let mut columns = Vec::new();
        for row in client.query_typed(COLUMNS, &[(&oid, Type::OID)]).await? {
            let type_oid: u32 = row.try_get(1)?;
            let base_oid: u32 = row.try_get(2)?;
            let deterministic: bool = row.try_get(7)?;
            let operator: (Option<&str>, Option<&str>) = (row.try_get(9)?, row.try_get(10)?);
            let other: bool = row.try_get(13)?;
            columns.push(Column {
                name: row.try_get(0)?,
                type_oid,
                base_oid,
                base_kind: row.try_get::<_, &str>(8)?.chars().next().unwrap_or('b'),
                type_sql: row.try_get(3)?,
                full_type: row.try_get(4)?,
                generated: !row.try_get::<_, &str>(5)?.is_empty(),
                identity_always: row.try_get::<_, &str>(6)? == "a",
                inexact: !deterministic || !EXACT.iter().any(|t| t.oid() == base_oid),
                equals: match operator {
                    (Some(schema), Some(name)) if schema != "pg_catalog" || name != "=" || other => {
                        format!("operator({}.{name})", quote::ident(schema))
                    }
                    _ => "=".to_owned(),
                },
                compared_as: row.try_get(11)?,
                listable: row.try_get(12)?,
            });
        }
        let key = client
            .query_typed(KEY, &[(&oid, Type::OID)])
            .await?
            .iter()
            .map(|row| Ok(row.try_get(0)?))
            .collect::<Result<_>>()?;
        let deletes_act = relation.try_get(3)?;
        Ok(Some(TableShape { deletes_act, ..Self::from_parts(name, oid, kind == "p", columns, key) }))
    }

    /// As [`TableShape::load`], for a table that has to exist.
    ///
    /// # Errors
    /// [`skytools::ErrorKind::NotFound`] naming the table.
    pub async fn require<C: GenericClient + Sync>(client: &C, name: &str, place: &str) -> Result<Self> {
        Self::load(client, name).await?.ok_or_else(|| Self::unknown(name, place))
    }

    /// The error for a table that does not exist.
    pub fn unknown(name: &str, place: &str) -> Error {
        Error::not_found(format!("table {name} does not exist {place}"))
            .hint("create it there, or take it out of replication with \"londiste INI remove-table\"")
    }

    pub(crate) fn from_parts(
        name: &str,
        oid: u32,
        partitioned: bool,
        columns: Vec<Column>,
        key: Vec<String>,
    ) -> Self {
        let by_name = columns.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        let (schema, table) = split_name(name);
        let sql = format!("{}.{}", quote::ident(schema), quote::ident(table));
        let deletes_act = false;
        TableShape { name: name.to_owned(), sql, oid, partitioned, columns, key, deletes_act, by_name }
    }

    /// The column of that (raw) name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).map(|&i| &self.columns[i])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn column(name: &str, type_sql: &str) -> Column {
        Column {
            name: name.to_owned(),
            type_oid: 25,
            base_oid: 25,
            base_kind: 'b',
            type_sql: type_sql.to_owned(),
            full_type: type_sql.to_owned(),
            generated: false,
            identity_always: false,
            inexact: false,
            equals: "=".to_owned(),
            compared_as: None,
            listable: true,
        }
    }

    #[test]
    fn names_split_at_the_first_dot_and_are_quoted() {
        assert_eq!(split_name("a.b.c"), ("a", "b.c"));
        assert_eq!(split_name("t"), ("public", "t"));
        let shape = TableShape::from_parts("Up.we\"ird", 1, false, vec![column("a", "text")], Vec::new());
        assert_eq!(shape.sql, "\"Up\".\"we\"\"ird\"");
        assert!(shape.column("a").is_some() && shape.column("b").is_none());
    }
}
