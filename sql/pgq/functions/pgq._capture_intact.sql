create or replace function pgq._capture_intact(
    i_table regclass, i_name text, i_last_attnum int2, i_key_index oid, i_identity_index oid, i_key text[], i_columns text[], i_types oid[], i_present text[], i_uniques text[], i_ancestors oid[])
returns boolean as $$
-- Whether a table still has the structure that its capture was generated for.
--
-- Called immutable so that the planner replaces it by its result: a plan that mentions i_table is made anew when that
-- table was altered, by the session or another, and only then does this run.  The result outlives the transaction, hence nothing in
-- here may look through a snapshot: these functions read the system caches, and so does the parser.  (What looks for a first
-- primary key does, for other unique indexes, and at columns in pgq._capture_same_columns().  Where the snapshot may be older than those, pgq._capture_planned() says so.)
--
-- Parameters:
--      i_name          - schema.table, quoted as regclass writes it; a renamed schema makes all plans anew, too
--      i_last_attnum   - number of the newest column
--      i_key_index     - index of the primary key, 0 for none
--      i_key           - its columns in order, as pg_get_indexdef() writes them
--      i_columns       - names of all columns
--      i_types         - their types
--      i_present       - names of those that are NOT NULL
--      i_uniques       - what pgq._capture_uniqueness() returned
--      i_ancestors     - itself and the partitioned tables that it is a part of; none otherwise
declare
    _column text;
    _types oid[];
    _n int4 := 0;
begin
    if i_table::pg_catalog.text <> i_name
       or pg_catalog.has_column_privilege(i_table, (i_last_attnum + 1)::pg_catalog.int2, 'select') is not null
       or i_ancestors <> array(select a.relid::pg_catalog.oid from pg_catalog.pg_partition_ancestors(i_table) a)
       or i_identity_index is distinct from coalesce(pg_catalog.pg_get_replica_identity_index(i_table), 0::pg_catalog.oid) then
        return false;
    end if;
    if i_key_index = 0 and pgq._capture_primary_key(i_table) is not null then
        return false;
    end if;
    if exists (select 1 from pg_catalog.unnest(i_uniques) u
                where pg_catalog.split_part(u, ':', 3) is distinct from pg_catalog.md5(pg_catalog.pg_get_indexdef(pg_catalog.split_part(u, ':', 1)::pg_catalog.oid)))
       or pg_catalog.current_setting('transaction_isolation') ~ '^read ' and pgq._capture_uniqueness(i_table) <> i_uniques
       or exists (select 1 from pg_catalog.unnest(pgq._capture_uniqueness(i_table)) u
                   where u <> all (i_uniques) and pg_catalog.pg_get_indexdef(pg_catalog.split_part(u, ':', 1)::pg_catalog.oid) is not null)
       or pg_catalog.current_setting('transaction_isolation') ~ '^read ' and not pgq._capture_same_columns(i_table, i_columns, i_present) then
        return false;
    end if;
    foreach _column in array i_key loop
        _n := _n + 1;
        if pg_catalog.pg_get_indexdef(i_key_index, _n, false) is distinct from _column then
            return false;
        end if;
    end loop;
    execute (select 'select array[' || pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_typeof((null::%s).%I)', i_table, c), ', ' order by nr)
                    || ']::pg_catalog.oid[]'
               from pg_catalog.unnest(i_columns) with ordinality u (c, nr))
       into _types;
    return coalesce(_types = i_types, i_columns = '{}');
exception
    when null_value_not_allowed then
        return i_columns = '{}';
    when undefined_column or undefined_table or undefined_object then
        return false;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp set quote_all_identifiers = off;

create or replace function pgq._capture_same_columns(i_table oid, i_columns text[], i_present text[])
returns boolean as $$
-- Whether columns have the names they had, in their order, and are NOT NULL where they were.
--
-- Volatile, for a snapshot of its own.
begin
    return array(select a.attname::text from pg_attribute a where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v' order by a.attnum) = i_columns
       and not exists (select 1 from pg_attribute a where a.attrelid = i_table and a.attname::text = any (i_present) and not a.attnotnull);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_unaltered(i_table regclass, i_children boolean default false)
returns void as $$
-- Asserts that an old snapshot shows a table as it is: what it shows of its columns and unique indexes has not been replaced.
--
-- Parameters:
--      i_children  - and that it has no new children, which replace its row in pg_class, as other commands do
-- Errors:
--      serialization_failure
begin
    if current_setting('transaction_isolation') !~ '^read '
       and (i_children and exists (select 1 from pg_class c where c.oid = i_table and c.xmax <> '0'::xid and pgq._capture_xid_status(c.xmax) = 'committed')
            or exists (select 1 from pg_index x where x.indrelid = i_table and (x.indisunique or x.indisexclusion) and x.xmax <> '0'::xid and pgq._capture_xid_status(x.xmax) = 'committed')
            or exists (select 1 from pg_attribute a where a.attrelid = i_table and a.attnum > 0 and a.xmax <> '0'::xid and pgq._capture_xid_status(a.xmax) = 'committed')) then
        raise exception 'table % was altered after the snapshot of this transaction was taken', i_table
            using errcode = 'serialization_failure', hint = 'Run the transaction again.';
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
