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

    loop    -- again only when another transaction moved the row in between
        delete from pgq_node.local_state s
         where s.ctid = (select v.row_id from pgq_node._local_state(i_queue_name, i_consumer_name) v)
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
        perform 1 from pgq_node._local_state(i_queue_name, i_consumer_name);
        exit when not found;
    end loop;

    ret_code := 200;
    ret_note := format('Consumer %s unregistered from %s', i_consumer_name, i_queue_name);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
