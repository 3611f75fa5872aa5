//! Reads from catalog and session what [`decide`](super::decide) needs, and notices when the catalog has changed.

use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient, Row};

use super::decide::{Check, ColumnFacts, Expression, Facts, Mode, UniqueIndex, decide};
use crate::apply::session;
use crate::apply::target::split_name;

/// One text for a table that changes whenever its columns, defaults, indexes, constraints, triggers, rules or relatives
/// do: each change writes a new version of a catalog row. Cheap enough to be asked once per batch and table.
pub(in crate::apply) const STAMP: &str = "select c.oid::text || ' ' || pg_catalog.concat_ws(' ', \
       (select pg_catalog.string_agg(a.attnum::text || ':' || a.xmin::text, ',' order by a.attnum) \
          from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0), \
       (select pg_catalog.string_agg(d.oid::text || ':' || d.xmin::text, ',' order by d.oid) \
          from pg_catalog.pg_attrdef d where d.adrelid = c.oid), '/', \
       (select pg_catalog.string_agg(i.indexrelid::text || ':' || i.xmin::text, ',' order by i.indexrelid) \
          from pg_catalog.pg_index i where i.indrelid = c.oid), '/', \
       (select pg_catalog.string_agg(k.oid::text || ':' || k.xmin::text, ',' order by k.oid) \
          from pg_catalog.pg_constraint k where k.conrelid = c.oid), '/', \
       (select pg_catalog.string_agg(t.oid::text || ':' || t.xmin::text, ',' order by t.oid) \
          from pg_catalog.pg_trigger t where t.tgrelid = c.oid), '/', \
       (select pg_catalog.string_agg(t.oid::text || ':' || t.xmin::text, ',' order by t.oid) \
          from pg_catalog.pg_partition_tree(c.oid) p join pg_catalog.pg_trigger t on t.tgrelid = p.relid \
         where c.relkind = 'p' and t.tgenabled in ('A', 'R')), '/', \
       (select pg_catalog.string_agg(r.oid::text || ':' || r.xmin::text, ',' order by r.oid) \
          from pg_catalog.pg_rewrite r where r.ev_class = c.oid), '/', \
       (select pg_catalog.count(*) from pg_catalog.pg_inherits h where h.inhrelid = c.oid or h.inhparent = c.oid)) \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') \
       and exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)";

const TABLE: &str = "select c.oid, \
       c.relkind = 'p' or c.relispartition \
         or exists (select 1 from pg_catalog.pg_inherits h where h.inhrelid = c.oid or h.inhparent = c.oid), \
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temp'), \
       (select t.tgname::text from pg_catalog.pg_trigger t where t.tgenabled in ('A', 'R') \
           and t.tgrelid in (select c.oid union all select p.relid::oid from pg_catalog.pg_partition_tree(c.oid) p) \
         order by t.tgname limit 1), \
       (select r.rulename::text from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.ev_enabled in ('A', 'R') \
         order by r.rulename limit 1), \
       exists (select 1 from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
                 join pg_catalog.pg_am m on m.oid = x.relam \
                where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null \
                  or m.amname not in ('btree', 'hash') \
                  or exists (select 1 from unnest(i.indclass::oid[]) o where o >= 16384))), \
       pg_catalog.has_table_privilege(c.oid, 'insert') and not pg_catalog.row_security_active(c.oid), \
       pg_catalog.current_setting('server_encoding') = 'UTF8', \
       pg_catalog.current_setting('session_replication_role') = 'replica' \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')";

/// The primary key first. An index with an expression has no columns here, which says enough. `plain`: the operator
/// class is the default one of its type and the collation is the column's.
const UNIQUE: &str = "select x.relname::text, \
       case when 0 = any (i.indkey::int2[]) then array[]::text[] else \
         (select pg_catalog.array_agg(a.attname::text order by k.nr) \
            from unnest(i.indkey::int2[]) with ordinality as k(attnum, nr) \
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
           where k.nr <= i.indnkeyatts) end, \
       i.indimmediate, i.indpred is not null or not i.indisvalid or not i.indisready, i.indisexclusion, \
       not exists (select 1 \
         from unnest(i.indclass::oid[], i.indcollation::oid[], i.indkey::int2[]) with ordinality as p(class, coll, attnum, nr) \
         join pg_catalog.pg_opclass oc on oc.oid = p.class \
         left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum \
        where p.nr <= i.indnkeyatts and (not oc.opcdefault or p.coll is distinct from a.attcollation)) \
     from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
     where i.indrelid = $1 and (i.indisunique or i.indisexclusion) \
     order by i.indisprimary desc, x.relname";

const CHECKS: &str = "select k.conname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid), \
       case when exists (select 1 from unnest(k.conkey) n where n <= 0) then null else \
         (select coalesce(pg_catalog.array_agg(a.attname::text), array[]::text[]) \
            from pg_catalog.pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) end, \
       exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_constraint'::regclass \
                  and d.objid = k.oid and d.refclassid <> 'pg_catalog.pg_class'::regclass), \
       exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_constraint'::regclass \
                  and d.objid = k.oid and d.refclassid = 'pg_catalog.pg_proc'::regclass) \
     from pg_catalog.pg_constraint k where k.conrelid = $1 and k.contype = 'c' order by k.conname";

/// Expressions of indexes, with their condition, and of generated columns. What uses the whole row has no columns here, and
/// a name that no event carries instead.
const EXPRESSIONS: &str = "with computed as ( \
       select x.relname::text as name, pg_catalog.pg_get_indexdef(i.indexrelid, k.nr::int4, false) as sql, \
              pg_catalog.pg_get_expr(i.indpred, i.indrelid) as condition, \
              'pg_catalog.pg_class'::regclass as class, i.indexrelid as oid, 0::int2 as self \
         from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
         cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, nr) \
        where i.indrelid = $1 and k.attnum = 0 \
       union all \
       select x.relname::text, pg_catalog.pg_get_expr(i.indpred, i.indrelid), null, \
              'pg_catalog.pg_class'::regclass, i.indexrelid, 0::int2 \
         from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
        where i.indrelid = $1 and i.indpred is not null \
       union all \
       select a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid), null, 'pg_catalog.pg_attrdef'::regclass, d.oid, a.attnum \
         from pg_catalog.pg_attribute a \
         join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
        where a.attrelid = $1 and a.attgenerated = 's' and not a.attisdropped) \
     select c.name, c.sql, c.condition, coalesce(u.names, array[]::text[]) \
       from computed c cross join lateral ( \
         select pg_catalog.array_agg(distinct coalesce(a.attname::text, '')) as names \
           from pg_catalog.pg_depend d \
           left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and a.attnum > 0 \
          where d.classid = c.class and d.objid = c.oid and d.refclassid = 'pg_catalog.pg_class'::regclass \
            and d.refobjid = $1 and d.refobjsubid <> c.self) u \
      order by c.name, c.sql";

/// Built-in base types are staged as they are, everything else as text. `text_cast`: `text::type` would not go through
/// the type's input function alone.
const COLUMNS: &str = "select a.attname::text, a.attnotnull, \
       case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end, \
       exists (select 1 from pg_catalog.pg_depend p where p.classid = 'pg_catalog.pg_attrdef'::regclass and p.objid = d.oid \
                  and p.refclassid = 'pg_catalog.pg_proc'::regclass), \
       a.attidentity::text, a.attgenerated <> '', t.typtype = 'd', t.oid >= 16384, \
       a.atttypmod <> -1 or exists (select 1 from pg_catalog.pg_cast k where k.casttarget = t.oid \
           and k.castsource = 'pg_catalog.text'::regtype and k.castmethod <> 'b'), \
       case when not co.collisdeterministic then pg_catalog.format('%I.%I', cn.nspname, co.collname) end, \
       a.attlen = -1 and exists (select 1 from pg_catalog.pg_index i where i.indrelid = a.attrelid and a.attnum = any (i.indkey::int2[])) \
     from pg_catalog.pg_attribute a \
     join pg_catalog.pg_type t on t.oid = a.atttypid \
     left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
     left join pg_catalog.pg_collation co on co.oid = a.attcollation \
     left join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace \
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum";

impl Facts {
    /// Reads the facts about a table for this session; `None` when there is no table of that (raw) name.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load<C: GenericClient + Sync>(client: &C, name: &str) -> Result<Option<Self>> {
        let (schema, table) = split_name(name);
        let Some(row) = client.query_typed_opt(TABLE, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?
        else {
            return Ok(None);
        };
        let oid: u32 = row.try_get(0)?;
        let mut facts = Facts {
            inheritance: row.try_get(1)?,
            may_use_temp: row.try_get(2)?,
            trigger: row.try_get(3)?,
            rule: row.try_get(4)?,
            odd_index: row.try_get(5)?,
            may_copy: row.try_get(6)?,
            any_character: row.try_get(7)?,
            replica_role: row.try_get(8)?,
            ..Facts::default()
        };
        for row in client.query_typed(UNIQUE, &[(&oid, Type::OID)]).await? {
            facts.unique.push(unique_index(&row)?);
        }
        for row in client.query_typed(CHECKS, &[(&oid, Type::OID)]).await? {
            facts.checks.push(Check {
                name: row.try_get(0)?,
                condition: row.try_get(1)?,
                columns: row.try_get(2)?,
                foreign: row.try_get(3)?,
                function: row.try_get(4)?,
            });
        }
        for row in client.query_typed(EXPRESSIONS, &[(&oid, Type::OID)]).await? {
            facts.expressions.push(Expression {
                name: row.try_get(0)?,
                sql: row.try_get(1)?,
                condition: row.try_get(2)?,
                columns: row.try_get(3)?,
            });
        }
        for row in client.query_typed(COLUMNS, &[(&oid, Type::OID)]).await? {
            facts.columns.push(column(&row)?);
        }
        Ok(Some(facts))
    }
}

fn unique_index(row: &Row) -> Result<UniqueIndex> {
    Ok(UniqueIndex {
        name: row.try_get(0)?,
        columns: row.try_get(1)?,
        immediate: row.try_get(2)?,
        partial: row.try_get(3)?,
        exclusion: row.try_get(4)?,
        plain: row.try_get(5)?,
    })
}

fn column(row: &Row) -> Result<ColumnFacts> {
    let identity: &str = row.try_get(4)?;
    Ok(ColumnFacts {
        name: row.try_get(0)?,
        not_null: row.try_get(1)?,
        default: row.try_get(2)?,
        default_function: row.try_get(3)?,
        identity: !identity.is_empty(),
        identity_always: identity == "a",
        generated: row.try_get(5)?,
        domain: row.try_get(6)?,
        user_type: row.try_get(7)?,
        text_cast: row.try_get(8)?,
        collation: row.try_get(9)?,
        indexed: row.try_get(10)?,
    })
}

/// Says how a worker of this session's login would apply the changes of tables, as far as the login and the table decide.
#[derive(Debug)]
pub struct Explainer<'c>(&'c Client);

impl<'c> Explainer<'c> {
    /// For a session that is used for nothing else than looking: it gets the replica role, as a worker's does, where the
    /// login may set it.
    ///
    /// # Errors
    /// Whatever the server reports, except that the role is denied.
    pub async fn open(client: &'c Client) -> Result<Self> {
        session::take_replica_role(client).await?;
        Ok(Explainer(client))
    }

    /// The mode of one table.
    ///
    /// # Errors
    /// The table does not exist; whatever the server reports.
    pub async fn explain(&self, name: &str) -> Result<Mode> {
        match Facts::load(self.0, name).await? {
            Some(facts) => Ok(decide(&facts)),
            None => Err(Error::not_found(format!("table {name} does not exist on this node"))),
        }
    }
}
