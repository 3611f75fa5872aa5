-- ----------------------------------------------------------------------
-- pgq_node.unregister_consumer(queue, consumer): forget a consumer of this node.
--
-- Returns:  200 gone (also when it was not there), 404 unknown queue
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.unregister_consumer(
    in i_queue_name text,
    in i_consumer_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    perform 1 from pgq_node.node_info
      where queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    delete from pgq_node.local_state
     where queue_name = i_queue_name
       and consumer_name = i_consumer_name;

    ret_code := 200;
    ret_note := format('Consumer %s unregistered from %s', i_consumer_name, i_queue_name);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
