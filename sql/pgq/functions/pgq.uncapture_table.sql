create or replace function pgq.uncapture_table(i_queue_name text, i_table_name text)
returns integer as $$
-- Takes all capture for a queue off a table, generated and generic, whatever the triggers are called.
--
-- Returns:
--      number of triggers dropped
declare
    _table oid := to_regclass(pgq.quote_fqname(i_table_name));
    _queue bytea := convert_to(i_queue_name, getdatabaseencoding()) || E'\\x00'::bytea;
    _t record;
    _dropped name[] := '{}';
begin
    if _table is null then
        raise exception 'table does not exist: %', coalesce(i_table_name, 'NULL') using errcode = 'undefined_table';
    end if;
    for _t in
        select t.tgname, n.nspname, c.relname
          from pg_trigger t
               join pg_class c on c.oid = t.tgrelid
               join pg_namespace n on n.oid = c.relnamespace
               join pg_proc p on p.oid = t.tgfoid
         where t.tgrelid = _table and not t.tgisinternal and t.tgparentid = 0
           and p.pronamespace = 'pgq'::regnamespace
           and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') or p.proname ~ '^_capture_([0-9]+|open|one_key)$')
           and substring(t.tgargs for length(_queue)) = _queue
    loop
        execute format('drop trigger %I on %I.%I', _t.tgname, _t.nspname, _t.relname);
        _dropped := _dropped || _t.tgname;
    end loop;
    -- functions go when the last trigger is gone
    perform pgq._capture_forget(i_queue_name, _t.nspname, _t.relname, d) from unnest(_dropped) d;
    return cardinality(_dropped);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
