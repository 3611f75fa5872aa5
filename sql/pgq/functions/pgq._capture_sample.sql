create or replace function pgq._capture_sample(i_table oid, i_ignored text[], out chars text, out sampled int4)
as $$
-- Characters that the texts of a table consist of besides plain ones, from a look at a thousand rows.
--
-- The quick way of generated capture encodes these too: names in Estonian, addresses with "&".  With hundreds of them, as Chinese has, it would be
-- slower than the ways that encode what they find; and a character that only few rows have is not worth asking each row for it.
--
-- Returns:
--      chars       - the frequent ones first; empty if fewer than one row in twenty would go the quick way for them
--      sampled     - rows the table has, up to a thousand; -1 if it may not be read or has no quick way
declare
    _values text;
    _rows float4 := (select c.reltuples from pg_class c where c.oid = i_table);
begin
    chars := '';
    sampled := -1;
    if not pgq._capture_may_read(i_table)
       or exists (select 1 from pgq._capture_columns(i_table, i_ignored) k where k.kind = 'x' and not k.ignored) then
        return;
    end if;
    -- concat() takes 100 values; large ones are left where they are
    select string_agg('concat(' || p.piece || ')', ' || ') into _values
      from (select string_agg(format('case when %2$s(t.%1$s) < 2000 then t.%1$s end', k.ident,
                                      case k.kind when 't' then 'octet_length' else 'pg_column_size' end), ', ') as piece
              from pgq._capture_columns(i_table, i_ignored) k
                   join pg_attribute a on a.attrelid = i_table and a.attname = k.name
             where not k.ignored and (k.kind in ('t', 'c') or a.atttypid = 'jsonb'::regtype)
             group by k.nr / 90) p;
    if _values is null then
        return;
    end if;
    execute format($sql$
        with texts as materialized (
            select row_number() over () as nr, %s as v from (select * from only %s tablesample system (%s) limit 1000) t
        ), found as materialized (
            select t.nr, array(select distinct c
                                 from regexp_split_to_table(regexp_replace(t.v, '[A-Za-z0-9_. ,@/-]+' collate "C", '', 'g'), '') c
                                where c <> '') as chars
              from texts t
        ), chosen as materialized (
            select array_agg(f.c order by f.n desc, f.c collate "C") as chars
              from (select u.c, count(*) as n
                      from found, unnest(chars) u (c)
                     where ascii(u.c) >= 32 and ascii(u.c) <> 127 and (ascii(u.c) < 127 or getdatabaseencoding() = 'UTF8') or u.c in (E'\n', E'\r', E'\t')
                     group by u.c
                    having count(*) * 50 >= (select count(*) from texts)
                     order by 2 desc, 1 limit 24) f
        )
        select case when (select count(*) * 20 from found f where f.chars <> '{}' and f.chars <@ c.chars) >= (select count(*) from texts)
                    then array_to_string(c.chars, '') end,
               (select count(*) from texts)
          from chosen c
        $sql$, _values, i_table::regclass, case when _rows > 50000 then 100.0 * 5000 / _rows else 100 end)
       into chars, sampled;
    chars := coalesce(chars, '');
    sampled := greatest(sampled, least(_rows, 1000));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_to_sample()
returns setof name as $$
-- Captures whose table was as good as empty when capture was put on it, and no longer is.
    select c.function_name
      from pgq.capture c
           join pg_class r on r.relname = c.rel_name
           join pg_namespace n on n.oid = r.relnamespace and n.nspname = c.rel_schema
     where c.sampled between 0 and 999
       and r.reltuples >= greatest(1000, 10 * c.sampled)
     order by c.capture_id;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.maint_sample_capture(i_function text)
returns integer as $$
-- Looks at the rows of a captured table, and writes its capture anew for the characters of their texts.
--
-- Parameters:
--      i_function  - pgq.capture.function_name
--
-- Returns:
--      0
declare
    _c pgq.capture%rowtype;
begin
    perform pg_advisory_xact_lock('pgq.capture'::regclass::oid::int4, hashtext(i_function));
    select * into _c from pgq.capture c where c.function_name = i_function;
    if found then
        perform pgq._write_capture(_c, true);
    end if;
    return 0;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
