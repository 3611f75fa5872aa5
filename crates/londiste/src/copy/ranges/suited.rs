//! Whether a table can be copied by ranges, and if not, why not.
//!
//! A range commits by itself, and after a kill the others are read with another snapshot. That is made good by the
//! table's events, so each of them has to carry the whole row, and each row needs a key.

use std::collections::HashMap;

use skytools::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::session::Role;
use crate::apply::{TableShape, split_name};
use crate::copy::Columns;
use crate::table::TableRow;

/// Capture that writes whole rows: `logutriga`, `jsontriga` (two triggers, or one of an older installation) or generated (three triggers), of every change of every row, without arguments
/// that leave out columns or rows, or name another key.
const SOURCE: &str = "select c.relkind = 'r' and c.relpersistence = 'p' \
          and exists (select 1 from pg_catalog.pg_am am where am.oid = c.relam and am.amname = 'heap'), \
       pg_catalog.pg_relation_filenode(c.oid)::text, pg_catalog.pg_relation_size(c.oid), \
       pg_catalog.current_setting('block_size')::int8, pg_catalog.current_setting('server_version_num')::int4, \
       exists (select 1 from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate), \
       exists (select 1 from pg_catalog.pg_trigger t \
                 join pg_catalog.pg_proc p on p.oid = t.tgfoid \
                 join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
                where t.tgrelid = c.oid and not t.tgisinternal and n.nspname = 'pgq' \
                  and (p.proname in ('logutriga', 'jsontriga') or p.proname like '\\_capture\\_%') \
                  and t.tgattr::text = '' and t.tgenabled in ('O', 'A') \
                  and (t.tgqual is null or p.proname like '\\_capture\\_%' \
                       or pg_catalog.pg_get_triggerdef(t.oid) like '%WHEN (pgq.\\_trigger\\_number(%') \
                  and position(q.name || '\\x00'::bytea in t.tgargs) = 1 \
                  and not exists (select 1 \
                        from unnest(string_to_array(encode(substr(t.tgargs, octet_length(q.name) + 2), 'escape'), '\\000')) as a(arg) \
                       where a.arg not in ('', 'backup') and a.arg not like 'ev\\_extra1=%') \
                group by t.tgfoid, t.tgargs \
               having bool_or(t.tgtype = 29 and t.tgqual is null) or array_agg(t.tgtype) @> '{5,25}'::int2[] \
                   or bool_and(p.proname like '\\_capture\\_%') and array_agg(t.tgtype) @> '{5,17,27}'::int2[]) \
         and not exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname like '\\_pgq\\_ev\\_%') \
     from pg_catalog.pg_class c, (select convert_to($2, getdatabaseencoding()) as name) q where c.oid = $1";

const TARGET: &str = "select c.relkind = 'r' and c.relpersistence = 'p', \
       pg_catalog.pg_relation_filenode(c.oid)::text, \
       (select t.tgname::text from pg_catalog.pg_trigger t \
          join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
         where t.tgrelid = c.oid and not t.tgisinternal and n.nspname <> 'pgq' and t.tgenabled::text in ($2, 'A') limit 1), \
       (select x.relname::text from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
         where i.indrelid = c.oid and (i.indisunique or i.indisexclusion) and not i.indisprimary \
           and x.relname <> all ($3) limit 1), \
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temp'), \
       coalesce((select i.indimmediate from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary), true) \
     from pg_catalog.pg_class c where c.oid = $1";

/// A column that was dropped and added again has another number, and other values.
const NUMBERS: &str = "select a.attname::text, a.attnum::int4 from pg_catalog.pg_attribute a \
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped";

async fn numbers(client: &Client, table: &TableShape) -> Result<HashMap<String, i32>> {
    let rows = client.query_typed(NUMBERS, &[(&table.oid, Type::OID)]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The source's side.
pub struct SourceFacts {
    /// Bytes of the table without indexes and TOAST.
    pub bytes: u64,
    /// Bytes of a block.
    pub block: u64,
    filenode: Option<String>,
    numbers: HashMap<String, i32>,
    refusal: Option<&'static str>,
}

impl SourceFacts {
    /// Looks at the source's table.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load(source: &Client, table: &TableShape, queue: &str) -> Result<Self> {
        let row = source.query_typed_one(SOURCE, &[(&table.oid, Type::OID), (&queue, Type::TEXT)]).await?;
        let plain: bool = row.try_get(0)?;
        let version: i32 = row.try_get(4)?;
        let (keyed, whole): (bool, bool) = (row.try_get(5)?, row.try_get(6)?);
        let size: Option<i64> = row.try_get(2)?;
        let refusal = if !plain {
            Some("it is not an ordinary, logged table on the source")
        } else if version < 140_000 {
            Some("the source is older than PostgreSQL 14 and cannot read ranges of blocks")
        } else if !keyed {
            Some("it has no primary key on the source that is checked at once")
        } else if !whole {
            Some(
                "its events on the source do not carry whole rows (logutriga, jsontriga or generated capture without ignore=, pkey=, when=)",
            )
        } else {
            None
        };
        Ok(SourceFacts {
            bytes: size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            block: u64::try_from(row.try_get::<_, i64>(3)?).unwrap_or(8192),
            filenode: row.try_get(1)?,
            numbers: numbers(source, table).await?,
            refusal,
        })
    }

    /// Whether the session's table is still the file that was looked at.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn same_file(&self, source: &Client, table: &TableShape) -> Result<bool> {
        Ok(filenode(source, table).await? == self.filenode)
    }
}

/// Why the table cannot be copied by ranges, as far as its registration and the source are concerned.
pub fn precondition(row: &TableRow, filtered: bool, facts: &SourceFacts) -> Option<String> {
    if row.attrs.skip_truncate() {
        return Some("rows that are there already are to stay (skip_truncate)".to_owned());
    }
    if filtered {
        return Some("its handler takes only some of the rows".to_owned());
    }
    facts.refusal.map(str::to_owned)
}

/// Why the table cannot be copied by ranges, as far as the columns that are copied are concerned.
pub fn unkeyed(key: &[String], columns: &Columns) -> Option<String> {
    let keyed = key.iter().all(|k| columns.names.contains(k));
    (!keyed).then(|| "a key column is not copied".to_owned())
}

/// Why the table cannot be copied by ranges, as far as both tables are concerned. What a copy drops must be dropped, or
/// named in `dropped`.
///
/// # Errors
/// Whatever the server reports.
pub async fn refusal(
    target: &Client,
    there: &TableShape,
    here: &TableShape,
    role: Role,
    key: &[String],
    dropped: &[String],
) -> Result<Option<String>> {
    let firing = if role == Role::Replica { "R" } else { "O" };
    let row = target
        .query_typed_one(
            TARGET,
            &[(&here.oid, Type::OID), (&firing, Type::TEXT), (&dropped, Type::TEXT_ARRAY)],
        )
        .await?;
    let (plain, temporary, immediate): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(4)?, row.try_get(5)?);
    let (trigger, index): (Option<&str>, Option<&str>) = (row.try_get(2)?, row.try_get(3)?);
    let same_key =
        !key.is_empty() && key.len() == there.key.len() && key.iter().all(|k| there.key.contains(k));
    Ok(if !plain {
        Some("it is not an ordinary, logged table here".to_owned())
    } else if !same_key || !immediate {
        Some("the primary keys of source and target differ, or are deferrable".to_owned())
    } else if let Some(name) = trigger {
        Some(format!("trigger {name} fires for replicated rows"))
    } else if let Some(name) = index {
        Some(format!("unique or exclusion index {name} cannot be dropped during the copy"))
    } else if !temporary {
        Some("the login may not create temporary tables".to_owned())
    } else {
        None
    })
}

async fn filenode(client: &Client, table: &TableShape) -> Result<Option<String>> {
    let sql = "select pg_catalog.pg_relation_filenode($1::oid)::text";
    Ok(client.query_typed_one(sql, &[(&table.oid, Type::OID)]).await?.try_get(0)?)
}

/// What must not change between two attempts: the files of both tables, and the columns that are copied. A table that
/// was rewritten, truncated or created again has another file, a column that was added again another number.
///
/// # Errors
/// Whatever the server reports.
pub async fn layout(
    target: &Client,
    facts: &SourceFacts,
    there: &TableShape,
    here: &TableShape,
    columns: &Columns,
) -> Result<String> {
    let node = filenode(target, here).await?;
    let here_numbers = numbers(target, here).await?;
    let mut text = format!(
        "{}:{} {}:{} key {}",
        there.oid,
        facts.filenode.as_deref().unwrap_or("-"),
        here.oid,
        node.as_deref().unwrap_or("-"),
        there.key.iter().map(|k| skytools::quote::ident(k)).collect::<Vec<_>>().join(", ")
    );
    for name in &columns.names {
        let kind = |shape: &TableShape, numbers: &HashMap<String, i32>| {
            let number = numbers.get(name).copied().unwrap_or_default();
            shape.column(name).map_or_else(String::new, |c| format!("{number} {}", c.full_type))
        };
        let (from, to) = (kind(there, &facts.numbers), kind(here, &here_numbers));
        text.push_str(&format!("; {}: {from}, {to}", skytools::quote::ident(name)));
    }
    Ok(text)
}

/// The quoted name, for statements that come before the table is looked at.
pub fn quoted(table: &str) -> String {
    let (schema, name) = split_name(table);
    format!("{}.{}", skytools::quote::ident(schema), skytools::quote::ident(name))
}
