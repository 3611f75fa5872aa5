//! What a schema contains, read from the system catalogues in a form that can be compared.

use std::collections::BTreeMap;

use tokio_postgres::GenericClient;

use crate::{Error, Result};

/// Object (`function pgq.version()`, `table pgq.queue column queue_name`) to its aspects (`result`, `grant to …`).
///
/// Constraints and indexes are known by their definition: their names differ between installations of different
/// age without any effect.
pub type Inventory = BTreeMap<String, BTreeMap<String, String>>;

/// Objects made for a queue when it is created are no part of an installation.
const GENERATED: &str = "'_[0-9]+(_[a-z0-9_]*)?$'";

/// Reads everything in a schema. The transaction should have `search_path` set to `pg_catalog`, so that names in
/// definitions are qualified.
///
/// # Errors
/// Those of the server.
pub async fn read<C: GenericClient>(client: &C, schema: &str) -> Result<Inventory> {
    let mut inventory = Inventory::new();
    for sql in
        [SCHEMA, FUNCTIONS, RELATIONS, COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, RULES, SEQUENCES, TYPES]
    {
        let sql = sql.replace("$GENERATED", GENERATED);
        let rows = client
            .query(sql.as_str(), &[&schema])
            .await
            .map_err(|e| Error::from(e).context(format!("reading the catalog of schema {schema} failed")))?;
        for row in rows {
            let (object, aspect, value): (String, String, Option<String>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let aspects = inventory.entry(object).or_default();
            if let Some(value) = value {
                aspects.insert(aspect, value);
            }
        }
    }
    Ok(inventory)
}

/// `MAINTAIN` exists from PostgreSQL 17 on and comes with `grant all`.
const SCHEMA: &str = "
select format('schema %I', n.nspname), 'grant to ' || g.role, g.privileges
  from pg_namespace n
  left join lateral (
        select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end as role,
               string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end,
                          ', ' order by a.privilege_type) as privileges
          from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
         where a.grantee <> n.nspowner
         group by 1) g on true
 where n.nspname = $1 and g.role is not null";

const FUNCTIONS: &str = "
with f as (
    select p.*, l.lanname,
           format('%s %I.%I(%s)', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
                  n.nspname, p.proname, oidvectortypes(p.proargtypes)) as object
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      join pg_language l on l.oid = p.prolang
     where n.nspname = $1 and p.proname !~ $GENERATED)
select f.object, a.aspect, a.value
  from f, lateral (values
        ('arguments', pg_get_function_arguments(f.oid)),
        ('result', coalesce(pg_get_function_result(f.oid), '')),
        ('language', f.lanname::text),
        ('volatility', case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end),
        ('strict', f.proisstrict::text),
        ('security definer', f.prosecdef::text),
        ('settings', array_to_string(f.proconfig, '; ')),
        ('body', md5(f.prosrc))) a (aspect, value)
union all
select f.object, 'grant to ' || case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end,
       string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end,
                  ', ' order by a.privilege_type)
  from f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
 where a.grantee <> f.proowner
 group by f.object, a.grantee";

const RELATIONS: &str = "
with r as (
    select c.*, format('%s %I.%I', case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                  when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence' else 'type' end,
                  n.nspname, c.relname) as object
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relname !~ $GENERATED)
select r.object, 'persistence', case r.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' end from r
union all
select r.object, 'row security', case when r.relforcerowsecurity then 'enabled, for its owner too' when r.relrowsecurity then 'enabled' end from r
 where r.relrowsecurity
union all
select r.object, 'grant to ' || case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end,
       string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end,
                  ', ' order by a.privilege_type)
  from r, aclexplode(coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's'::\"char\" else 'r' end, r.relowner))) a
 where a.grantee <> r.relowner and a.privilege_type <> 'MAINTAIN' and r.relkind <> 'c'
 group by r.object, a.grantee";

const COLUMNS: &str = "
select format('%s %I.%I column %I', case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
              when 'm' then 'materialized view' when 'f' then 'foreign table' else 'type' end,
              n.nspname, c.relname, a.attname),
       v.aspect, v.value
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum,
       lateral (values
        ('type', format_type(a.atttypid, a.atttypmod)),
        ('not null', a.attnotnull::text),
        ('default', pg_get_expr(d.adbin, d.adrelid)),
        ('identity', nullif(a.attidentity::text, '')),
        ('generated', nullif(a.attgenerated::text, ''))) v (aspect, value)
 where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relname !~ $GENERATED";

/// The name of a constraint, or of an index, is told where it takes one to put it right. A foreign key whose triggers are disabled, as after a
/// `pg_restore --disable-triggers` that was killed, guards nothing.
const CONSTRAINTS: &str = "
select format('%s %I.%I constraint %s', case c.relkind when 'r' then 'table' else 'partitioned table' end,
              n.nspname, c.relname, regexp_replace(pg_get_constraintdef(o.oid), ' NOT VALID$', '')),
       v.aspect, v.value
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace,
       lateral (values
        ('validated', case when o.convalidated then 'true' else format('false: %I', o.conname) end),
        ('enforced', case when o.contype <> 'f' then null
                          when exists (select 1 from pg_trigger t where t.tgconstraint = o.oid and t.tgisinternal and t.tgenabled in ('D', 'R'))
                          then format('false: %I', o.conname)
                          else 'true' end)) v (aspect, value)
 where n.nspname = $1 and o.contype in ('p', 'u', 'c', 'x', 'f') and c.relname !~ $GENERATED";

const INDEXES: &str = "
select format('%s %I.%I %sindex %s', case c.relkind when 'r' then 'table' when 'm' then 'materialized view' else 'partitioned table' end,
              n.nspname, c.relname, case when i.indisunique then 'unique ' else '' end,
              substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$')),
       'valid', case when i.indisvalid then 'true' else format('false: %s', i.indexrelid::regclass) end
  from pg_index i
  join pg_class c on c.oid = i.indrelid
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1 and c.relkind in ('r', 'p', 'm') and c.relname !~ $GENERATED
   and not exists (select 1 from pg_constraint o where o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x'))";

/// Without parentheses: those that the server puts around AND and OR of a condition differ after a dump and restore.
const TRIGGERS: &str = "
select format('table %I.%I trigger %I', n.nspname, c.relname, t.tgname), v.aspect, v.value
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace,
       lateral (values
        ('definition', translate(pg_get_triggerdef(t.oid), '()', '')),
        ('enabled', case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'A' then 'always' else 'on replica' end)
       ) v (aspect, value)
 where n.nspname = $1 and not t.tgisinternal and c.relname !~ $GENERATED";

const RULES: &str = "
select format('table %I.%I rule %I', n.nspname, c.relname, r.rulename), 'definition', pg_get_ruledef(r.oid)
  from pg_rewrite r
  join pg_class c on c.oid = r.ev_class
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1 and c.relkind in ('r', 'p') and c.relname !~ $GENERATED";

const SEQUENCES: &str = "
select format('sequence %I.%I', n.nspname, c.relname), 'definition',
       format('%s increment %s minimum %s maximum %s cache %s%s', format_type(s.seqtypid, null), s.seqincrement,
              s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' cycle' else '' end)
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1 and c.relname !~ $GENERATED";

const TYPES: &str = "
select format('type %I.%I', n.nspname, t.typname), 'definition',
       case t.typtype
            when 'e' then 'enum (' || (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                                         from pg_enum e where e.enumtypid = t.oid) || ')'
            when 'd' then 'domain over ' || format_type(t.typbasetype, t.typtypmod)
            when 'r' then 'range'
            else 'other' end
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
 where n.nspname = $1 and t.typtype in ('e', 'd', 'r') and t.typname !~ $GENERATED";
