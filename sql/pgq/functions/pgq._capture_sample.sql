create or replace function pgq._capture_sample(i_capture pgq.capture, i_table oid, i_ignored text[], out chars text, out sampled int4, out due int8, out since int8)
as $$
-- Characters that the texts of a table consist of besides plain ones, from a look at a thousand of its events.
--
-- The quick way of generated capture encodes these too: names in Estonian, addresses with "&".  With hundreds of them, as Chinese has, it would be
-- slower than the ways that encode what they find; and a character that only few rows have is not worth asking each row for it.
--
-- At events, not at the table: to plan a query the server works out what is constant in the expressions of a table's statistics, checks
-- and indexes, as whoever asks, and this is the owner of PgQ.
--
-- Returns:
--      chars       - the frequent ones first; empty if fewer than one row in twenty would go the quick way for them
--      sampled     - events found, up to a thousand; -1 if the table has no quick way
--      due         - when another look is worth it: number of an event; null for never
--      since       - number that the queue had come to at the first look
declare
    _q pgq.queue%rowtype;
    _name text := coalesce(pgq._capture_constant(i_capture.options, 'ev_extra1'), (pgq._trigger_plan(i_table, 'logutriga', i_capture.queue_name || i_capture.options)).table_text);
    _pages int8;
begin
    chars := '';
    sampled := -1;
    select * into _q from pgq.queue q where q.queue_name = i_capture.queue_name;
    if not found or exists (select 1 from pgq._capture_columns(i_table, i_ignored) k where k.kind = 'x' and not k.ignored) then
        return;
    end if;
    select sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::int8 into _pages
      from pg_inherits i where i.inhparent = _q.queue_data_pfx::regclass;
    execute format($sql$
        with texts as materialized (
            select row_number() over () as nr, e.ev_data as v
              from (select s.ev_data from %s s tablesample system (%s)
                     where s.ev_extra1 = $1 and s.ev_type ~ '^[IUD]:' and octet_length(s.ev_data) < 20000 order by s.ev_id desc limit 1000) e
        ), found as materialized (
            select t.nr, array(select distinct c
                                 from regexp_matches(t.v, '(?:%%[0-9a-f][0-9a-f])+', 'g') m,
                                      regexp_split_to_table(convert_from(decode(replace(m[1], '%%', ''), 'hex'), pgq._event_encoding()), '') c
                                where c !~ '^[A-Za-z0-9_. ,@/-]$' collate "C") as chars
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
        $sql$, pgq.quote_fqname(_q.queue_data_pfx), least(100, 100000.0 / greatest(_pages, 1)))
       into chars, sampled using _name;
    chars := coalesce(chars, '');
    if sampled < 1000 then
        -- the more seldom, the longer it finds few: the queue may have many events, and this table only some
        due := coalesce(pg_sequence_last_value(_q.queue_event_seq::regclass), 0);
        since := coalesce(i_capture.sample_from, due);
        due := due + greatest(1000, (due - since) / 2);
    end if;
exception
    when untranslatable_character or character_not_in_repertoire then
        -- somebody's event under the name of the table
        chars := '';
        sampled := 0;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on set jit = off;

create or replace function pgq._capture_to_sample()
returns setof name as $$
-- Captures that know few events of their table, and in whose queue many more have been written since.
    select c.function_name
      from pgq.capture c
           join pgq.queue q on q.queue_name = c.queue_name
     where c.sample_due <= pg_sequence_last_value(q.queue_event_seq::regclass)
     order by c.capture_id;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.maint_sample_capture(i_function text)
returns integer as $$
-- Looks at the events of a captured table, and writes its capture anew for the characters of their texts.
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
