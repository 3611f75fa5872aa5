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
begin
    if pgq_node._set_local_state(i_queue_name, i_consumer_name, '{last_tick_id,cur_error}',
                                 i_last_tick_id => i_tick_id) then
        ret_code := 100;
        ret_note := format('Consumer %s completed tick = %s', i_consumer_name, i_tick_id);
    else
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
