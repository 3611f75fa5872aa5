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
declare
    l_row tid;
begin
    perform 1 from pgq_node.node_info
      where queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    loop    -- again only when another transaction moved the row in between
        select s.row_id into l_row from pgq_node._local_state(i_queue_name, i_consumer_name) s;
        exit when not found;
        update pgq_node.local_state s
           set provider_node = i_provider_node,
               last_tick_id = i_custom_tick_id
         where s.ctid = l_row
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
    end loop;
    if found then
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
