-- ----------------------------------------------------------------------
-- pgq_node.set_consumer_error(queue, consumer, message)
--
--   Store why a consumer makes no progress; NULL clears it.
--
-- Returns:  100 stored, 101 consumer not known (a consumer that fails before it
--           is registered must not fail again over that)
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_consumer_error(
    in i_queue_name text,
    in i_consumer_name text,
    in i_error_msg text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    if pgq_node._set_local_state(i_queue_name, i_consumer_name, '{cur_error}', i_cur_error => i_error_msg) then
        ret_code := 100;
        ret_note := format('Consumer %s error = %s', i_consumer_name, coalesce(i_error_msg, 'NULL'));
    else
        ret_code := 101;
        ret_note := format('Consumer not known, ignoring: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
