create or replace function pgq._capture_intact(
    i_table regclass, i_name text, i_last_attnum int2, i_key_index oid, i_identity_index oid, i_key text[], i_columns text[], i_types oid[], i_uniques oid[], i_root oid)
returns boolean as $$
-- Whether a table still has the structure that its capture was generated for.
--
-- Called immutable so that the planner replaces it by its result: a plan that mentions i_table is made anew when that
-- table was altered, by the session or another, and only then does this run.  The result outlives the transaction, hence nothing in
-- here may look through a snapshot: these functions read the system caches, and so does the parser.  (The search for a first
-- primary key does, and that for a new unique index.  Where the snapshot may be older than those, pgq._capture_planned() says so.)
--
-- Parameters:
--      i_name          - schema.table, quoted as regclass writes it; a renamed schema makes all plans anew, too
--      i_last_attnum   - number of the newest column
--      i_key_index     - index of the primary key, 0 for none
--      i_key           - its columns in order, as pg_get_indexdef() writes them
--      i_columns       - names of all columns
--      i_types         - their types
--      i_uniques       - its unique indexes
--      i_root          - the partitioned table that it is a part of, 0 for none
declare
    _column text;
    _types oid[];
    _n int4 := 0;
begin
    if i_table::pg_catalog.text <> i_name
       or pg_catalog.has_column_privilege(i_table, (i_last_attnum + 1)::pg_catalog.int2, 'select') is not null
       or i_root <> coalesce(pg_catalog.pg_partition_root(i_table)::pg_catalog.oid, 0)
       or i_identity_index is distinct from coalesce(pg_catalog.pg_get_replica_identity_index(i_table), 0::pg_catalog.oid) then
        return false;
    end if;
    if i_key_index = 0 and pgq._capture_primary_key(i_table) is not null then
        return false;
    end if;
    if exists (select 1 from pg_catalog.unnest(i_uniques) u where pg_catalog.pg_get_indexdef(u, 1, false) is null)
       or exists (select 1 from pg_catalog.unnest(pgq._capture_unique_indexes(i_table)) u
                   where u <> all (i_uniques) and pg_catalog.pg_get_indexdef(u, 1, false) is not null) then
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
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp;
