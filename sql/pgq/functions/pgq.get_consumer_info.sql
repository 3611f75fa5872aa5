create or replace function pgq.get_consumer_info(
    in i_queue_name text, in i_consumer_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- Returns positions of consumers.
--
-- Parameters:
--      null for all queues, for all consumers
--
-- Returns:
--      lag             - age of the tick up to which everything is processed
--      last_seen       - time since the consumer opened or finished a batch
--      pending_events  - events up to the newest tick, by the event sequence: an upper estimate
-- Tables read:
--      pgq.queue, pgq.consumer, pgq.subscription, pgq.tick
begin
    return query
    select q.queue_name, c.co_name, now() - l.tick_time, now() - s.sub_active,
           s.sub_last_tick, s.sub_batch, s.sub_next_tick,
           top.tick_event_seq - l.tick_event_seq
      from pgq.queue q
           join pgq.subscription_key k on k.sub_queue = q.queue_id
           cross join lateral pgq._subscription(k.sub_queue, k.sub_consumer) s
           join pgq.consumer c on c.co_id = k.sub_consumer
           -- limit 1: statistics that are old must not turn the look-up of a tick into a scan of them all
           left join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick limit 1) l on true
           left join lateral (
                select t.tick_event_seq
                  from pgq.tick t
                 where t.tick_queue = q.queue_id
                 order by t.tick_queue desc, t.tick_id desc
                 limit 1) top on true
     where (i_queue_name is null or q.queue_name = i_queue_name)
       and (i_consumer_name is null or c.co_name = i_consumer_name)
     order by q.queue_name, c.co_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.get_consumer_info(
    in i_queue_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- Returns positions of all consumers of a queue.
begin
    return query select * from pgq.get_consumer_info(i_queue_name, null);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.get_consumer_info(
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- Returns positions of all consumers on all queues.
begin
    return query select * from pgq.get_consumer_info(null, null);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
