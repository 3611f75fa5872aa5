-- ----------------------------------------------------------------------
-- pgq_node.set_subscriber_watermark(queue, node, tick)
--
--   A node below reports the lowest tick that it and the nodes below it still need.
--
-- Returns:
--   100  watermark already there
--   200  moved
--   404  node not subscribed
--   405  watermark would move backwards
-- Raises:  when the tick does not exist
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_subscriber_watermark(
    in i_queue_name text,
    in i_node_name text,
    in i_watermark bigint,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_name text;
    l_tick bigint;
begin
    select i.watermark_name, s.sub_last_tick into l_name, l_tick
      from pgq_node.subscriber_info i
      left join pgq.queue q on q.queue_name = i.queue_name
      left join pgq.consumer c on c.co_name = i.watermark_name
      left join lateral pgq._subscription(q.queue_id, c.co_id) s on true
     where i.queue_name = i_queue_name
       and i.subscriber_node = i_node_name;
    if not found then
        ret_code := 404;
        ret_note := format('node %s not subscribed to queue %s', i_node_name, i_queue_name);
        return;
    end if;
    if i_watermark is null then
        ret_code := 405;
        ret_note := format('watermark of node %s must not be NULL', i_node_name);
        return;
    end if;
    if i_watermark < l_tick then
        ret_code := 405;
        ret_note := 'watermark must not be moved backwards';
        return;
    end if;
    if i_watermark = l_tick then
        ret_code := 100;
        ret_note := 'watermark already set';
        return;
    end if;

    perform pgq.register_consumer_at(i_queue_name, l_name, i_watermark);

    ret_code := 200;
    ret_note := format('%s set to %s', l_name, i_watermark);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
