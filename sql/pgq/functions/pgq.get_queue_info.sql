-- Older generations return fewer columns, which CREATE OR REPLACE cannot change.
do $$
begin
    if exists (select 1 from pg_catalog.pg_proc
                where oid = pg_catalog.to_regprocedure('pgq.get_queue_info(text)')
                  and not array['queue_ticker_paused', 'ev_new', 'last_tick_id'] <@ proargnames) then
        drop function pgq.get_queue_info();
        drop function pgq.get_queue_info(text);
    end if;
end;
$$;

create or replace function pgq.get_queue_info(
    in i_queue_name text,
    out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz,
    out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval, out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec float8, out ev_new bigint, out last_tick_id bigint)
returns setof record as $$
-- Returns settings and state of a queue.
--
-- Parameters:
--      i_queue_name    - null for all queues
--
-- Returns:
--      ticker_lag  - age of the newest tick
--      ev_per_sec  - rate over the newest ticks, at most 20 back; null when no time passed between them
--      ev_new      - events since the newest tick
-- Tables read:
--      pgq.queue, pgq.tick, event sequences
begin
    return query
    select q.queue_name, q.queue_ntables, q.queue_cur_table, q.queue_rotation_period, q.queue_switch_time,
           q.queue_external_ticker, q.queue_ticker_paused,
           q.queue_ticker_max_count, q.queue_ticker_max_lag, q.queue_ticker_idle_period,
           now() - top.tick_time,
           (top.tick_event_seq - base.tick_event_seq)
               / nullif(extract(epoch from top.tick_time - base.tick_time)::float8, 0),
           pgq.seq_getval(q.queue_event_seq) - top.tick_event_seq,
           top.tick_id
      from pgq.queue q
           left join lateral (
                select t.tick_id, t.tick_time, t.tick_event_seq
                  from pgq.tick t
                 where t.tick_queue = q.queue_id
                 order by t.tick_queue desc, t.tick_id desc
                 limit 1) top on true
           left join lateral (
                select t.tick_time, t.tick_event_seq
                  from pgq.tick t
                 where t.tick_queue = q.queue_id and t.tick_id >= top.tick_id - 20
                 order by t.tick_queue, t.tick_id
                 limit 1) base on true
     where i_queue_name is null or q.queue_name = i_queue_name
     order by q.queue_name;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.get_queue_info(
    out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz,
    out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval, out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec float8, out ev_new bigint, out last_tick_id bigint)
returns setof record as $$
-- Returns settings and state of all queues.
begin
    return query select * from pgq.get_queue_info(null);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
