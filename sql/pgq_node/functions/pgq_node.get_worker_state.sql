-- ----------------------------------------------------------------------
-- pgq_node.get_worker_state(queue): what the node's worker needs to run.
--
-- Returns one row:
--   ret_code         100 Ok; 404 unknown queue, consumer, provider node or
--                    combined queue
--   completed_tick   last batch that was applied and committed here
--   local_queue_top  newest tick of this node's own queue (NULL on a leaf)
-- Other columns as in get_consumer_state() and get_node_info().
-- ----------------------------------------------------------------------
create or replace function pgq_node.get_worker_state(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text,
    out node_type text,
    out node_name text,
    out completed_tick bigint,
    out provider_node text,
    out provider_location text,
    out paused boolean,
    out uptodate boolean,
    out cur_error text,
    out worker_name text,
    out global_watermark bigint,
    out local_watermark bigint,
    out local_queue_top bigint,
    out combined_queue text,
    out combined_type text)
returns record
as $$
begin
    select n.worker_name, n.combined_queue
      into worker_name, combined_queue
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    select s.ret_code, s.ret_note, s.node_type, s.node_name, s.completed_tick,
           s.provider_node, s.provider_location, s.paused, s.uptodate, s.cur_error
      into ret_code, ret_note, node_type, node_name, completed_tick,
           provider_node, provider_location, paused, uptodate, cur_error
      from pgq_node.get_consumer_state(i_queue_name, worker_name) s;
    if ret_code <> 100 then
        return;
    end if;

    if combined_queue is not null then
        select c.node_type into combined_type
          from pgq_node.node_info c
         where c.queue_name = get_worker_state.combined_queue;
        if not found then
            ret_code := 404;
            ret_note := 'Combined queue node not found: ' || combined_queue;
            return;
        end if;
    end if;

    select i.global_watermark, i.local_watermark
      into global_watermark, local_watermark
      from pgq_node.get_node_info(i_queue_name) i;
    if node_type <> 'leaf' then
        -- from the end of the index: while a snapshot is held the ticks of all queues pile up
        select (select t.tick_id from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1)
          into local_queue_top
          from pgq.queue q
         where q.queue_name = i_queue_name;
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_sort = off;
