//! The catalog queries. All expect an empty `search_path`, so that the server qualifies what it prints.

/// `$1` schema, `$2` name.
pub(super) const TABLE: &str = "
select c.oid, c.relkind::text, c.relpersistence::text, pg_catalog.pg_get_userbyid(c.relowner)::text,
       coalesce(c.reloptions, '{}'), c.relreplident::text,
       (select ic.relname::text from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
         where i.indrelid = c.oid and i.indisreplident and c.relreplident = 'i'),
       pg_catalog.pg_get_expr(c.relpartbound, c.oid),
       case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'f')";

pub(super) const COLUMNS: &str = "
select a.attname::text as name, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name, a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) as expression,
       a.attidentity::text as identity, a.attgenerated::text as generated,
       case when a.attcollation <> t.typcollation
            then (select format('%I.%I', n.nspname, c.collname) from pg_catalog.pg_collation c
                    join pg_catalog.pg_namespace n on n.oid = c.collnamespace where c.oid = a.attcollation) end as collation,
       case when a.attstorage <> t.typstorage
            then case a.attstorage when 'p' then 'PLAIN' when 'm' then 'MAIN' when 'e' then 'EXTERNAL' else 'EXTENDED' end
       end as storage,
       case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end as compression,
       not a.attislocal as inherited,
       pg_catalog.format_type(s.seqtypid, null) as seq_type, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join (pg_catalog.pg_depend p join pg_catalog.pg_sequence s on s.seqrelid = p.objid)
         on p.classid = 'pg_class'::regclass and p.refclassid = 'pg_class'::regclass and p.deptype = 'i'
        and p.refobjid = a.attrelid and p.refobjsubid = a.attnum and a.attidentity <> ''
 where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
 order by a.attnum";

/// Not-null constraints, which PostgreSQL 18 lists here, are a property of the column.
pub(super) const CONSTRAINTS: &str = "
select o.conname::text, o.contype::text, pg_catalog.pg_get_constraintdef(o.oid),
       array(select a.attname::text from unnest(o.conkey) with ordinality k (attnum, position)
               join pg_catalog.pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum
              order by k.position),
       o.condeferrable, not o.conislocal or o.conparentid <> 0, coalesce(i.indisclustered, false)
  from pg_catalog.pg_constraint o
  left join pg_catalog.pg_index i on i.indexrelid = o.conindid and o.contype in ('p', 'u', 'x')
 where o.conrelid = $1 and o.contype in ('p', 'u', 'c', 'x')
 order by o.contype <> 'p', o.conname::text collate \"C\"";

/// The definition is what follows a head that is built here, so that names in it may contain anything.
pub(super) const INDEXES: &str = "
select c.relname::text, i.indisunique,
       substr(pg_catalog.pg_get_indexdef(i.indexrelid),
              length(format('CREATE %sINDEX %I ON %s%I.%I USING ', case when i.indisunique then 'UNIQUE ' else '' end,
                            c.relname, case when tc.relkind = 'p' then 'ONLY ' else '' end, n.nspname, tc.relname)) + 1),
       exists (select 1 from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid), i.indisclustered
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_class tc on tc.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = tc.relnamespace
 where i.indrelid = $1
   and not exists (select 1 from pg_catalog.pg_constraint o
                    where o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x'))
 order by c.relname::text collate \"C\"";

pub(super) const FOREIGN_KEYS_OF: &str = "
select o.conname::text, fn.nspname || '.' || f.relname, tn.nspname || '.' || t.relname, pg_catalog.pg_get_constraintdef(o.oid),
       array(select a.attname::text from unnest(o.conkey) with ordinality k (attnum, position)
               join pg_catalog.pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum
              order by k.position)
  from pg_catalog.pg_constraint o
  join pg_catalog.pg_class f on f.oid = o.conrelid
  join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
  join pg_catalog.pg_class t on t.oid = o.confrelid
  join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
 where o.conrelid = $1 and o.contype = 'f' and o.conparentid = 0
 order by o.conname::text collate \"C\"";

pub(super) const FOREIGN_KEYS_TO: &str = "
select o.conname::text, fn.nspname || '.' || f.relname, tn.nspname || '.' || t.relname, pg_catalog.pg_get_constraintdef(o.oid),
       array(select a.attname::text from unnest(o.conkey) with ordinality k (attnum, position)
               join pg_catalog.pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum
              order by k.position)
  from pg_catalog.pg_constraint o
  join pg_catalog.pg_class f on f.oid = o.conrelid
  join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
  join pg_catalog.pg_class t on t.oid = o.confrelid
  join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
 where o.confrelid = $1 and o.contype = 'f' and o.conparentid = 0
 order by 2, o.conname::text collate \"C\"";

/// Capture triggers of Londiste are named `_londiste_<queue>` with an optional `zzz_`, `~` or `!` and call a function of pgq.
pub(super) const TRIGGERS: &str = "
select t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled::text,
       t.tgname ~ '^([~!]|zzz_+)?_?londiste_' and pn.nspname = 'pgq', t.tgparentid <> 0,
       format('CREATE %sTRIGGER %I ', case when t.tgconstraint <> 0 then 'CONSTRAINT ' else '' end, t.tgname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
  join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
 where t.tgrelid = $1 and not t.tgisinternal
 order by t.tgname::text collate \"C\"";

pub(super) const RULES: &str = "
select r.rulename::text, pg_catalog.pg_get_ruledef(r.oid), r.ev_enabled::text,
       format('CREATE RULE %I AS', r.rulename)
  from pg_catalog.pg_rewrite r
 where r.ev_class = $1 and r.rulename <> '_RETURN'
 order by r.rulename::text collate \"C\"";

pub(super) const GRANTS: &str = "
select g.column_name, g.role, g.is_grantable, array_agg(g.privilege order by g.privilege)
  from (select null::text as column_name, case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee)::text end as role,
               a.is_grantable, lower(a.privilege_type) as privilege
          from pg_catalog.pg_class c, aclexplode(c.relacl) a
         where c.oid = $1 and a.grantee <> c.relowner
        union all
        select t.attname::text, case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee)::text end,
               a.is_grantable, lower(a.privilege_type)
          from pg_catalog.pg_class c
          join pg_catalog.pg_attribute t on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped,
               aclexplode(t.attacl) a
         where c.oid = $1 and a.grantee <> c.relowner) g
 group by g.column_name, g.role, g.is_grantable
 order by g.column_name nulls first, g.role nulls first, g.is_grantable";

pub(super) const PARENTS: &str = "
select format('%I.%I', n.nspname, c.relname)
  from pg_catalog.pg_inherits h
  join pg_catalog.pg_class c on c.oid = h.inhparent
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where h.inhrelid = $1
 order by h.inhseqno";

/// Sequences that defaults of this table use, with the column of it that owns them.
pub(super) const SEQUENCES: &str = "
select distinct on (n.nspname::text collate \"C\", c.relname::text collate \"C\") $COLUMNS,
       (select a.attname::text from pg_catalog.pg_depend o
          join pg_catalog.pg_attribute a on a.attrelid = o.refobjid and a.attnum = o.refobjsubid
         where o.classid = 'pg_class'::regclass and o.objid = c.oid and o.refclassid = 'pg_class'::regclass
           and o.refobjid = $1 and o.deptype = 'a') as owner_column
  from pg_catalog.pg_attrdef ad
  join pg_catalog.pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = ad.oid and d.refclassid = 'pg_class'::regclass
  join pg_catalog.pg_class c on c.oid = d.refobjid and c.relkind = 'S'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_sequence s on s.seqrelid = c.oid
 where ad.adrelid = $1
 order by n.nspname::text collate \"C\", c.relname::text collate \"C\"";
