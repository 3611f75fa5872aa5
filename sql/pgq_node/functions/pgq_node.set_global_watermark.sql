-- ----------------------------------------------------------------------
-- pgq_node.set_global_watermark(queue, tick)
--
--   Move .global_watermark, the consumer that holds what any node of the cascade
--   still needs.  On the root NULL means: the local watermark; the root sends
--   the result down the cascade.  A branch skips a tick that it does not have
--   (yet), a leaf has no queue and ignores it.
--
-- Returns:
--   100  ignored on a leaf
--   200  set, or skipped on a branch
--   404  queue not found
--   500  NULL on a branch
-- Raises:  on the root when the tick does not exist
-- Writes:  pgq subscription; on the root an event pgq.global-watermark, and the
--          newest tick as position of its worker
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_global_watermark(
    in i_queue_name text,
    in i_watermark bigint,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
    l_tick bigint = i_watermark;
    l_top bigint;
begin
    select n.node_type, n.worker_name into l_node
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := format('Queue %s not found', i_queue_name);
        return;
    end if;

    if l_node.node_type = 'leaf' then
        ret_code := 100;
        ret_note := 'Ignoring global watermark in leaf';
        return;
    elsif l_node.node_type = 'branch' then
        if l_tick is null then
            ret_code := 500;
            ret_note := 'bad usage: wm=null on branch node';
            return;
        end if;
        perform 1 from pgq.queue q
          join pgq.tick t on t.tick_queue = q.queue_id and t.tick_id = l_tick
         where q.queue_name = i_queue_name;
        if not found then
            ret_code := 200;
            ret_note := format('Skipping global watermark update to %s', l_tick);
            return;
        end if;
    elsif l_tick is null then
        l_tick := pgq_node._local_watermark(i_queue_name);
    end if;

    perform pgq.register_consumer_at(i_queue_name, '.global_watermark', l_tick);

    if l_node.node_type = 'root' then
        perform pgq.insert_event(i_queue_name, 'pgq.global-watermark', l_tick::text,
                                 i_queue_name, null, null, null);
        -- the root's own worker has, in effect, applied all there is
        select (select t.tick_id from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1)
          into l_top
          from pgq.queue q
         where q.queue_name = i_queue_name;
        perform pgq_node._set_local_state(i_queue_name, l_node.worker_name, '{last_tick_id}', i_last_tick_id => l_top);
    end if;

    ret_code := 200;
    ret_note := format('Global watermark set to %s', l_tick);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_sort = off;
