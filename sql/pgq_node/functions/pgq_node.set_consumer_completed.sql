-- ----------------------------------------------------------------------
-- pgq_node.set_consumer_completed(queue, consumer, tick)
--
--   The consumer has applied everything up to tick: called in the transaction
--   that applied it, so that data and position are one.  Clears the error.
--
-- Returns:  100 set, 404 consumer not known
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_consumer_completed(
    in i_queue_name text,
    in i_consumer_name text,
    in i_tick_id int8,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_row tid;
begin
    loop    -- again only when another transaction moved the row in between
        select s.row_id into l_row from pgq_node._local_state(i_queue_name, i_consumer_name) s;
        exit when not found;
        update pgq_node.local_state s
           set last_tick_id = i_tick_id,
               cur_error = null
         where s.ctid = l_row
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
    end loop;
    if found then
        ret_code := 100;
        ret_note := format('Consumer %s completed tick = %s', i_consumer_name, i_tick_id);
    else
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
