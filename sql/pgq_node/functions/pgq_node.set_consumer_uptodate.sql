-- ----------------------------------------------------------------------
-- pgq_node.set_consumer_uptodate(queue, consumer, uptodate)
--
--   A consumer confirms (true) that it has seen its current flags and provider.
--
-- Returns:  200 set, 404 consumer not known
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_consumer_uptodate(
    in i_queue_name text,
    in i_consumer_name text,
    in i_uptodate boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    if pgq_node._set_local_state(i_queue_name, i_consumer_name, '{uptodate}', i_uptodate => i_uptodate) then
        ret_code := 200;
        ret_note := 'Consumer uptodate = ' || i_uptodate::int4;
    else
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
