-- pgq_node.get_subscriber_info(queue): nodes reading from this node, by name,
-- with the watermark each has reported.
create or replace function pgq_node.get_subscriber_info(
    in i_queue_name text,
    out node_name text,
    out worker_name text,
    out node_watermark int8)
returns setof record
as $$
begin
    return query
        select i.subscriber_node, i.worker_name, s.sub_last_tick
          from pgq_node.subscriber_info i
          left join pgq.queue q on q.queue_name = i.queue_name
          left join pgq.consumer c on c.co_name = i.watermark_name
          left join lateral pgq._subscription(q.queue_id, c.co_id) s on true
         where i.queue_name = i_queue_name
         order by i.subscriber_node;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
