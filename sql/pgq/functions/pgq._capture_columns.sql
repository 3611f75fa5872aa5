create or replace function pgq._capture_columns(i_table oid, i_ignored text[])
returns table (nr int8, name text, ident text, kind text, needs text[], present boolean, ignored boolean) as $$
-- How generated capture writes the columns of a table, but for virtual ones, which triggers do not see.
--
-- Returns:
--      ident   - always quoted: PL/pgSQL does not see a field where the name is one of its keywords (by, to, from)
--      kind    - n number and the like, d date and time, f float, b bytea: their text is never empty;
--                t text;  c other text-like types;  x anything else
--      needs   - settings that its text depends on
--      present - never null
    with recursive base (column_id, type, domain) as (
        select a.attnum, a.atttypid, false
          from pg_catalog.pg_attribute a
         where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
        union all
        select b.column_id, t.typbasetype, true
          from base b join pg_catalog.pg_type t on t.oid = b.type and t.typtype = 'd'
    )
    select row_number() over (order by a.attnum), a.attname::text, '"' || replace(a.attname, '"', '""') || '"', k.kind,
           case k.kind when 'd' then '{DateStyle}'::text[]
                       when 'f' then '{extra_float_digits}'
                       when 'b' then '{bytea_output}'
                       when 'x' then '{DateStyle,IntervalStyle,extra_float_digits,bytea_output,lc_monetary,quote_all_identifiers,search_path}'
                       else '{}' end,
           a.attnotnull, a.attname::text = any (i_ignored)
      from pg_catalog.pg_attribute a
           join base b on b.column_id = a.attnum
           join pg_catalog.pg_type t on t.oid = b.type and t.typtype <> 'd',
           lateral (select case
               when t.oid in ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype,
                              'numeric'::pg_catalog.regtype, 'bool'::pg_catalog.regtype, 'uuid'::pg_catalog.regtype,
                              'jsonb'::pg_catalog.regtype) then 'n'
               when t.oid in ('date'::pg_catalog.regtype, 'time'::pg_catalog.regtype, 'timetz'::pg_catalog.regtype,
                              'timestamp'::pg_catalog.regtype, 'timestamptz'::pg_catalog.regtype) then 'd'
               when t.oid in ('float4'::pg_catalog.regtype, 'float8'::pg_catalog.regtype) then 'f'
               when t.oid = 'bytea'::pg_catalog.regtype then 'b'
               when t.oid in ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype) then 't'
               when t.typtype = 'e'
                    or t.oid in ('bpchar'::pg_catalog.regtype, 'name'::pg_catalog.regtype, '"char"'::pg_catalog.regtype,
                                 'inet'::pg_catalog.regtype, 'cidr'::pg_catalog.regtype, 'oid'::pg_catalog.regtype,
                                 'macaddr'::pg_catalog.regtype, 'bit'::pg_catalog.regtype, 'varbit'::pg_catalog.regtype,
                                 'tsvector'::pg_catalog.regtype, 'json'::pg_catalog.regtype) then 'c'
               else 'x' end) k (kind)
     where a.attrelid = i_table
     order by a.attnum;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;
