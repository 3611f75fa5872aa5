-- ----------------------------------------------------------------------
-- pgq_node._local_watermark(queue): lowest tick that somebody on this root or
--   branch still needs, .global_watermark apart; the newest tick when nobody
--   is registered; NULL when there is no such queue.
-- ----------------------------------------------------------------------
create or replace function pgq_node._local_watermark(i_queue_name text)
returns bigint
as $$
declare
    l_queue_id int4;
    l_tick bigint;
begin
    select q.queue_id into l_queue_id
      from pgq.queue q
     where q.queue_name = i_queue_name;

    select min(s.sub_last_tick) into l_tick
      from pgq.subscription_key k
      join pgq.consumer c on c.co_id = k.sub_consumer
      cross join lateral pgq._subscription(k.sub_queue, k.sub_consumer) s
     where k.sub_queue = l_queue_id
       and c.co_name <> '.global_watermark';
    if l_tick is null then
        select t.tick_id into l_tick
          from pgq.tick t
         where t.tick_queue = l_queue_id
         order by t.tick_id desc
         limit 1;
    end if;
    return l_tick;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
