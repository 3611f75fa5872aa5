create or replace function pgq._capture_register(
    i_queue text, i_schema name, i_table name, i_trigger name, i_options text[], i_failure text, i_form text, i_operations text)
returns name as $$
-- Notes that a table is captured, and writes its function.
--
-- Parameters:
--      i_operations    - letters of I, U, D
--
-- Returns:
--      name of the function in schema pgq
-- Tables directly manipulated:
--      insert/update - pgq.capture
declare
    _c pgq.capture%rowtype;
begin
    -- of tables that were dropped
    perform pgq._capture_forget(c.queue_name, c.rel_schema, c.rel_name, c.trigger_name)
       from pgq.capture c
      where (c.queue_name, c.rel_schema, c.rel_name, c.trigger_name) is distinct from (i_queue, i_schema, i_table, i_trigger)
        and not exists (select 1 from pg_trigger t where t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name)));

    insert into pgq.capture as c (queue_name, rel_schema, rel_name, trigger_name, options, function_name, failure, form, operations)
        values (i_queue, i_schema, i_table, i_trigger, i_options, '', i_failure, i_form, i_operations)
        on conflict (queue_name, rel_schema, rel_name, trigger_name)
            do update set options = excluded.options, failure = excluded.failure, form = excluded.form, operations = excluded.operations, lost_since = null, lost_reason = null
        returning * into _c;
    if _c.function_name = '' then
        -- after a restore the numbers may begin again while functions are still there
        while to_regprocedure(format('pgq.%I()', '_capture_' || _c.capture_id)) is not null loop
            update pgq.capture set capture_id = nextval('pgq.capture_capture_id_seq') where capture_id = _c.capture_id
                returning capture_id into _c.capture_id;
        end loop;
        update pgq.capture set function_name = '_capture_' || capture_id where capture_id = _c.capture_id returning * into _c;
    end if;
    perform pg_advisory_xact_lock('pgq.capture'::regclass::oid::int4, hashtext(_c.function_name::text));
    perform pgq._write_capture(_c, true);
    return _c.function_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_forget(i_queue text, i_schema name, i_table name, i_trigger name)
returns void as $$
-- Removes what pgq._capture_register made.  Its trigger must be gone.
declare
    _function name;
begin
    delete from pgq.capture
     where queue_name = i_queue and rel_schema = i_schema and rel_name = i_table and trigger_name = i_trigger
    returning function_name into _function;
    if found then
        execute format('drop function if exists pgq.%I()', _function);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
