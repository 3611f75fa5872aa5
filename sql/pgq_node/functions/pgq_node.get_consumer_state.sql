-- ----------------------------------------------------------------------
-- pgq_node.get_consumer_state(queue, consumer): position and flags of one
--   cascaded consumer of this node.
--
-- Returns one row: 100 Ok; 404 unknown queue or consumer (node_type and
--   node_name are filled when the queue is known).
-- ----------------------------------------------------------------------
create or replace function pgq_node.get_consumer_state(
    in i_queue_name text,
    in i_consumer_name text,
    out ret_code int4,
    out ret_note text,
    out node_type text,
    out node_name text,
    out completed_tick bigint,
    out provider_node text,
    out provider_location text,
    out paused boolean,
    out uptodate boolean,
    out cur_error text)
returns record
as $$
begin
    select n.node_type, n.node_name into node_type, node_name
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    -- provider_node always has a location, a foreign key sees to it
    select 100, 'Ok', s.last_tick_id, s.provider_node, l.node_location,
           s.paused, s.uptodate, s.cur_error
      into ret_code, ret_note, completed_tick, provider_node, provider_location,
           paused, uptodate, cur_error
      from pgq_node._local_state(i_queue_name, i_consumer_name) s
      join pgq_node.node_location l
        on l.queue_name = s.queue_name and l.node_name = s.provider_node;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown consumer: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
