-- ----------------------------------------------------------------------
-- pgq_node.register_consumer(queue, consumer, provider_node, tick)
--
--   Note that a consumer of this node reads the queue on provider_node and is
--   done up to tick.  An existing consumer is moved.  Nothing is registered in
--   the provider's queue.
--
-- Returns:  200 registered, 201 was registered and has been moved, 404 unknown queue
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.register_consumer(
    in i_queue_name text,
    in i_consumer_name text,
    in i_provider_node text,
    in i_custom_tick_id int8,
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

    if pgq_node._set_local_state(i_queue_name, i_consumer_name, '{provider_node,last_tick_id}',
                                 i_provider_node => i_provider_node, i_last_tick_id => i_custom_tick_id) then
        ret_code := 201;
        ret_note := format('Consumer already registered: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;

    insert into pgq_node.local_state (queue_name, consumer_name, provider_node, last_tick_id)
    values (i_queue_name, i_consumer_name, i_provider_node, i_custom_tick_id);

    ret_code := 200;
    ret_note := format('Consumer %s registered on queue %s', i_consumer_name, i_queue_name);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
