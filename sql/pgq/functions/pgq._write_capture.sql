create or replace function pgq._write_capture(i_capture pgq.capture, i_sample boolean)
returns oid as $$
-- Creates or replaces the function of one row of pgq.capture, from what its table is now.
--
-- The table is the one that has a trigger with this function, whatever it is called today; else the one named in the row.
--
-- Parameters:
--      i_sample    - whether to look at events for the characters of their texts; else those found last
--
-- Returns:
--      OID of the table; null if there is no such table
-- Tables directly manipulated:
--      update - pgq.capture
declare
    _table oid;
    _ignored text[];
    _name text := format('pgq.%I()', i_capture.function_name);
    _settings text;
    _role text;
    _body text;
begin
    select t.tgrelid into _table
      from pg_trigger t
     where t.tgfoid = to_regprocedure(_name) and t.tgparentid = 0 and not t.tgisinternal
     order by t.tgrelid <> coalesce(to_regclass(format('%I.%I', i_capture.rel_schema, i_capture.rel_name)), 0::oid), t.oid
     limit 1;
    _table := coalesce(_table, to_regclass(format('%I.%I', i_capture.rel_schema, i_capture.rel_name)));
    if _table is null then
        return null;
    end if;

    _ignored := array(select btrim(i) from unnest(string_to_array((pgq._trigger_options(i_capture.queue_name || i_capture.options)).ignored, ',')) i);
    if i_sample then
        select * into i_capture.chars, i_capture.sampled, i_capture.sample_due, i_capture.sample_from from pgq._capture_sample(i_capture, _table, _ignored);
    end if;

    select string_agg(format(' set %s = %s', n, case n when 'search_path' then pgq._capture_canonical(n) else quote_literal(pgq._capture_canonical(n)) end), '' order by n) into _settings
      from (select distinct u.n
              from pgq._capture_columns(_table, _ignored) k,
                   unnest(k.needs || '{search_path}'::text[]) u (n)
             where not k.ignored) s
    having array_agg(n order by n) <> '{DateStyle,search_path}' and array_agg(n order by n) <> '{search_path}';
    _body := pgq._capture_code(i_capture, _table);
    execute format('create or replace function %s returns trigger language plpgsql security definer%s as %L',
                   _name, coalesce(_settings, ''), _body);
    execute format('revoke all on function %s from public', _name);
    foreach _role in array '{pgq_admin,londiste_writer}'::text[] loop
        if to_regrole(_role) is not null then
            execute format('grant execute on function %s to %I', _name, _role);
        end if;
    end loop;
    perform pgq._capture_renamed(i_sample)
       from pg_class r join pg_namespace n on n.oid = r.relnamespace
      where r.oid = _table and (n.nspname, r.relname) <> (i_capture.rel_schema, i_capture.rel_name);
    update pgq.capture c
       set (rel_schema, rel_name) = (select n.nspname, r.relname from pg_class r join pg_namespace n on n.oid = r.relnamespace where r.oid = _table),
           (chars, sampled, sample_due, sample_from) = (i_capture.chars, i_capture.sampled, i_capture.sample_due, i_capture.sample_from),
           written = now()
     where c.capture_id = i_capture.capture_id;
    return _table;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on set quote_all_identifiers = off;

create or replace function pgq._capture_renamed(i_wait boolean)
returns void as $$
-- Gives all rows of pgq.capture the names that their tables have now: tables may have exchanged them.
--
-- Parameters:
--      i_wait      - for others that do the same; otherwise an error
-- Tables directly manipulated:
--      update, delete - pgq.capture
declare
    _ids int4[];
    _schemas name[];
    _names name[];
begin
    select array_agg(c.capture_id order by c.capture_id), array_agg(n.nspname order by c.capture_id), array_agg(r.relname order by c.capture_id)
      into _ids, _schemas, _names
      from pgq.capture c
           cross join lateral (select t.tgrelid from pg_trigger t
                                where t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name)) and t.tgparentid = 0 and not t.tgisinternal
                                order by t.tgrelid <> coalesce(to_regclass(format('%I.%I', c.rel_schema, c.rel_name)), 0::oid), t.oid limit 1) t
           join pg_class r on r.oid = t.tgrelid
           join pg_namespace n on n.oid = r.relnamespace
     where (n.nspname, r.relname) <> (c.rel_schema, c.rel_name);
    if i_wait then
        perform 1 from pgq.capture c where c.capture_id = any (_ids) order by c.capture_id for update;
    else
        perform 1 from pgq.capture c where c.capture_id = any (_ids) order by c.capture_id for update nowait;
    end if;
    -- tables of these names are gone
    perform pgq._capture_forget(c.queue_name, c.rel_schema, c.rel_name, c.trigger_name)
       from pgq.capture c
      where c.capture_id <> all (_ids)
        and exists (select 1
                      from unnest(_ids, _schemas, _names) w (id, schema_name, table_name) join pgq.capture o on o.capture_id = w.id
                     where (o.queue_name, o.trigger_name, w.schema_name, w.table_name) = (c.queue_name, c.trigger_name, c.rel_schema, c.rel_name))
        and not exists (select 1 from pg_trigger t where t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name)));
    -- first names that no other has
    update pgq.capture c set rel_name = c.function_name where c.capture_id = any (_ids);
    update pgq.capture c
       set rel_schema = w.schema_name, rel_name = w.table_name
      from unnest(_ids, _schemas, _names) w (id, schema_name, table_name)
     where c.capture_id = w.id;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
