-- ----------------------------------------------------------------------
-- pgq_node.get_node_info(queue): all about this database's node.
--
-- Returns one row:
--   ret_code           100 Ok, 404 Unknown queue
--   global_watermark   position of .global_watermark (NULL on a leaf)
--   local_watermark    root, branch: lowest position of all consumers of the
--                      queue; leaf: position of its worker
--   provider_*, worker_*   state of the node's worker; on a root worker_last_tick is
--                      the newest tick
--   combined_queue, combined_type   queue this leaf merges into and its node type
--                      here; NULL when that node is gone
--   target_for         queues whose leaf here merges into this queue
-- ----------------------------------------------------------------------
create or replace function pgq_node.get_node_info(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text,
    out node_type text,
    out node_name text,
    out global_watermark bigint,
    out local_watermark bigint,
    out provider_node text,
    out provider_location text,
    out combined_queue text,
    out combined_type text,
    out worker_name text,
    out worker_paused bool,
    out worker_uptodate bool,
    out worker_last_tick bigint,
    out node_attrs text,
    out target_for text[])
returns record
as $$
begin
    select 100, 'Ok', n.node_type, n.node_name,
           s.provider_node, l.node_location,
           c.queue_name, c.node_type, n.worker_name,
           s.paused, s.uptodate, s.last_tick_id, n.node_attrs
      into ret_code, ret_note, node_type, node_name,
           provider_node, provider_location,
           combined_queue, combined_type, worker_name,
           worker_paused, worker_uptodate, worker_last_tick, node_attrs
      from pgq_node.node_info n
      left join pgq_node.node_info c
        on c.queue_name = n.combined_queue
      left join lateral pgq_node._local_state(n.queue_name, n.worker_name) s on true
      left join pgq_node.node_location l
        on l.queue_name = s.queue_name and l.node_name = s.provider_node
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    if node_type = 'leaf' then
        local_watermark := worker_last_tick;
        return;
    end if;

    select g.sub_last_tick into global_watermark
      from pgq.queue q
      join pgq.consumer c on c.co_name = '.global_watermark'
      cross join lateral pgq._subscription(q.queue_id, c.co_id) g
     where q.queue_name = i_queue_name;
    local_watermark := pgq_node._local_watermark(i_queue_name);
    if node_type = 'root' then
        -- A root has everything that it ticked, whatever position its worker last published:
        -- wait-root and lags refer to this.
        select t.tick_id into worker_last_tick
          from pgq.tick t
         where t.tick_queue = (select q.queue_id from pgq.queue q where q.queue_name = i_queue_name)
         order by t.tick_id desc
         limit 1;
    end if;

    select array_agg(m.queue_name order by m.queue_name) into target_for
      from pgq_node.node_info m
     where m.combined_queue = i_queue_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
