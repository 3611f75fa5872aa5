create or replace function pgq._capture_unique_indexes(i_table oid)
returns oid[] as $$
-- The unique indexes of a table, the primary key's among them, and those of exclusion constraints.
--
-- Volatile, as all that is looked at while planning: it takes a snapshot of its own where the isolation level allows that.  A statement that has waited for
-- the lock of a partition goes on with an older one.
begin
    return array(select x.indexrelid from pg_index x
                  where x.indrelid = i_table and (x.indisunique or x.indisexclusion) and x.indislive
                  order by 1);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_uniqueness(i_table oid)
returns text[] as $$
-- The same with what they are, for comparing: OID:flags:definition.  A definition has the names that columns have now; an index keeps its OID when it becomes
-- that of a deferrable constraint.
begin
    return array(select concat(x.indexrelid, ':', case when not x.indimmediate then 'deferrable' end, case when not x.indisvalid then 'invalid' end, ':', md5(pg_get_indexdef(x.indexrelid)))
                   from pg_index x
                  where x.indrelid = i_table and (x.indisunique or x.indisexclusion) and x.indislive
                  order by x.indexrelid);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set quote_all_identifiers = off;

create or replace function pgq._capture_never_null(i_table oid)
returns text[] as $$
-- Columns that hold no null as long as the primary key is there.  NOT NULL may be dropped, and be NOT VALID.
    select array(select a.attname::text
                   from pg_index x
                        cross join lateral unnest(x.indkey::int2[]) with ordinality k (attnum, nr)
                        join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
                  where x.indrelid = i_table and x.indisprimary and k.nr <= x.indnkeyatts
                  order by k.nr);
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_primary_key(i_table oid)
returns oid as $$
-- The index of the primary key; null if there is none.
begin
    return (select x.indexrelid from pg_index x where x.indrelid = i_table and x.indisprimary);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_claims(i_table oid)
returns text[] as $$
-- Columns of a table by which its rows exclude others, or find their partition: those of unique indexes and exclusion constraints,
-- with their expressions and conditions, and those of the partition keys above.
--
-- An update that leaves them alone takes nothing from other rows and stays in its table.
--
-- Returns:
--      their names; all columns where an expression may look at any
    with claim as (
        select array_remove(x.indkey::int2[], 0::int2) || coalesce((
                   select array_agg(d.refobjsubid::int2)
                     from pg_depend d
                    where (d.classid = 'pg_class'::regclass and d.objid = x.indexrelid
                           or d.classid = 'pg_constraint'::regclass and d.objid in (select o.oid from pg_constraint o where o.conindid = x.indexrelid and o.conrelid = x.indrelid and o.contype in ('p', 'u', 'x')))
                      and d.refclassid = 'pg_class'::regclass and d.refobjid = x.indrelid and d.refobjsubid > 0), '{}') as columns,
               (x.indexprs is not null or x.indpred is not null) and pg_get_indexdef(x.indexrelid) ~ '\.\*' as whole
          from pg_index x
         where x.indexrelid = any ((select pgq._capture_unique_indexes(i_table))::oid[])      -- once
    )
    select array(
        select a.attname::text
          from pg_attribute a
         where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped
           and (exists (select 1 from claim c where c.whole or a.attnum = any (c.columns))
                or exists (select 1
                             from pg_partition_ancestors(i_table) p (relid)
                                  join pg_partitioned_table t on t.partrelid = p.relid
                            where t.partexprs is not null
                               or a.attname in (select b.attname from pg_attribute b where b.attrelid = p.relid and b.attnum = any (t.partattrs::int2[]))))
         order by a.attnum);
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_follower(i_table regclass, i_function name)
returns name as $$
-- Another trigger that could spoil what capture logs: a BEFORE trigger that fires behind capture's own, and could still change or keep back the change that
-- was logged; or one whose WHEN clause is asked before that which draws the number, and could change other rows.
--
-- In a transaction with an old snapshot it does not see a trigger that is younger: pgq._capture_planned().  Those of a partitioned table are internal on its parts
-- before PostgreSQL 15; what is internal otherwise is neither.
--
-- Returns:
--      the last one; null if there is none, as should be
begin
    return (
    select t.tgname
      from pg_trigger t
           join pg_trigger own on own.tgrelid = t.tgrelid
           join pg_proc f on f.oid = own.tgfoid and f.proname = i_function and f.pronamespace = 'pgq'::regnamespace
           join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = i_table and t.tgenabled <> 'D'
       and (own.tgtype & 3 = 3 and own.tgname < t.tgname and t.tgtype & 3 = 3 and t.tgtype & 24 <> 0 and i_function ~ '^_capture_'
            or own.tgtype & 3 = 1 and own.tgqual is not null and t.tgname < own.tgname and t.tgtype & 3 = 1 and t.tgtype & 24 <> 0 and t.tgqual is not null)
       -- capture for another queue changes nothing
       and not (p.pronamespace = 'pgq'::regnamespace
                and (p.proname ~ '^_capture_[0-9]+$' or t.tgtype & 3 = 1 and p.proname in ('logutriga', 'sqltriga', 'jsontriga')))
     order by t.tgname desc limit 1);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_follower_planned(i_table regclass, i_function name)
returns name as $$
-- The same for expressions.  Called immutable for the reason that pgq._capture_intact is: CREATE TRIGGER makes plans anew.
begin
    return pgq._capture_follower(i_table, i_function);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_rename(i_table regclass, i_trigger name)
returns text as $$
-- The statement that gives such a trigger a name with which it spoils nothing.
    select format('alter trigger %I on %s rename to %I', i_trigger, i_table, coalesce(nullif(btrim(i_trigger, '~! '), ''), 'before_capture'));
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_not_last(i_table regclass, i_function name)
returns void as $$
-- Errors:
--      object_not_in_prerequisite_state: names the trigger that has to be renamed
declare
    _t name;
    _rename text;
begin
    _t := pgq._capture_follower(i_table, i_function);
    _rename := pgq._capture_rename(i_table, _t);
    if exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname = _t and t.tgtype & 2 = 0) then
        raise exception 'the WHEN clause of trigger % on table % is asked before that of capture, and could change what it has not logged yet', quote_ident(_t), i_table
            using errcode = 'object_not_in_prerequisite_state', hint = 'Triggers are asked by name: ' || _rename;
    end if;
    raise exception 'trigger % on table % fires behind that of capture, and could change what it has logged', quote_ident(_t), i_table
        using errcode = 'object_not_in_prerequisite_state', hint = 'Triggers fire by name: ' || _rename;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
