create or replace function pgq.drop_queue(x_queue_name text, x_force bool)
returns integer as $$
-- Removes a queue with its events.
--
-- Parameters:
--      x_force     - unregister consumers that are still attached, and take generated capture off tables
--
-- Returns:
--      1
-- Errors:
--      No such event queue; cannot drop queue, consumers still attached
--      object_in_use: changes of tables are captured into it
-- Tables directly manipulated:
--      delete - pgq.queue, pgq.tick, pgq.apply_token, drop - pgq.event_N*
declare
    _q pgq.queue%rowtype;
    _tables text;
begin
    -- before the row, as pgq.maint_rotate_tables_step1 does
    lock table pgq.tick in row exclusive mode;
    select * into _q from pgq.queue where queue_name = x_queue_name for update;
    if not found then
        raise exception 'No such event queue';
    end if;

    if x_force then
        perform pgq.unregister_consumer(c.queue_name, c.consumer_name)
           from pgq.get_consumer_info(x_queue_name) c;
    elsif exists (select 1 from pgq.subscription_key where sub_queue = _q.queue_id) then
        raise exception 'cannot drop queue, consumers still attached';
    end if;

    -- their triggers would write into what is gone
    select string_agg(format('%I.%I', c.rel_schema, c.rel_name), ', ' order by c.rel_schema, c.rel_name) into _tables
      from pgq.capture c
     where c.queue_name = x_queue_name and to_regclass(format('%I.%I', c.rel_schema, c.rel_name)) is not null;
    if x_force then
        perform case when to_regclass(format('%I.%I', c.rel_schema, c.rel_name)) is not null
                     then pgq.uncapture_table(c.queue_name, c.rel_schema || '.' || c.rel_name) end,
                pgq._capture_forget(c.queue_name, c.rel_schema, c.rel_name, c.trigger_name)
           from pgq.capture c
          where c.queue_name = x_queue_name;
    elsif _tables is not null then
        raise exception 'cannot drop queue %: changes of tables are captured into it: %', x_queue_name, _tables
            using errcode = 'object_in_use',
                  hint = 'Take capture off them with pgq.uncapture_table(queue, table), or londiste remove-table; or drop the queue with force, which does that.';
    end if;

    -- What every writer locks first: those who have it finish before anything else is locked, the others wait here.
    execute pg_catalog.format('drop sequence if exists %s', pgq.quote_fqname(_q.queue_data_pfx || '_state_seq'));
    for _n in 0 .. _q.queue_ntables - 1 loop
        execute pg_catalog.format('drop table %s', pgq.quote_fqname(_q.queue_data_pfx || '_' || _n::text));
    end loop;
    execute pg_catalog.format('drop table %s', pgq.quote_fqname(_q.queue_data_pfx));
    delete from pgq.tick where tick_queue = _q.queue_id;
    delete from pgq.apply_token where queue_name = x_queue_name;
    execute pg_catalog.format('drop sequence %s', pgq.quote_fqname(_q.queue_tick_seq));
    execute pg_catalog.format('drop sequence %s', pgq.quote_fqname(_q.queue_event_seq));
    delete from pgq.queue where queue_id = _q.queue_id;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.drop_queue(x_queue_name text)
returns integer as $$
-- Removes a queue that has no consumers.  See the form with two arguments.
begin
    return pgq.drop_queue(x_queue_name, false);
end;
$$ language plpgsql strict;
