create or replace function pgq.get_batch_info(
    in x_batch_id bigint,
    out queue_name text, out consumer_name text, out batch_start timestamptz, out batch_end timestamptz,
    out prev_tick_id bigint, out tick_id bigint, out lag interval, out seq_start bigint, out seq_end bigint)
as $$
-- Describes an open batch.
--
-- Returns:
--      one row, all null when there is no such batch
-- Tables read:
--      pgq.subscription, pgq.queue, pgq.consumer, pgq.tick
begin
    select q.queue_name, c.co_name, l.tick_time, n.tick_time, s.sub_last_tick, s.sub_next_tick,
           now() - n.tick_time, l.tick_event_seq, n.tick_event_seq
      into queue_name, consumer_name, batch_start, batch_end, prev_tick_id, tick_id, lag, seq_start, seq_end
      from pgq._batch(x_batch_id) s
           join pgq.queue q on q.queue_id = s.sub_queue
           join pgq.consumer c on c.co_id = s.sub_consumer
           -- limit 1: statistics that are old must not turn the look-up of a tick into a scan of them all
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick limit 1) l on true
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_next_tick limit 1) n on true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
