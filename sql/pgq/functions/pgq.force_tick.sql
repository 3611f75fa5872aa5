create or replace function pgq.force_tick(i_queue_name text)
returns bigint as $$
-- Makes the ticker tick at its next round, by moving the event sequence far enough.
--
-- It does not tick itself: ticks made at the same time could have ids in another order than their snapshots.
-- The caller waits until the newest tick id differs from the one returned.
--
-- Returns:
--      newest tick id; null when there is no such queue
-- Tables directly manipulated:
--      setval - pgq.event_N_id_seq
declare
    _q record;
begin
    select q.queue_id, q.queue_event_seq, q.queue_ticker_max_count,
           q.queue_external_ticker or q.queue_ticker_paused as idle
      into _q
      from pgq.queue q
     where q.queue_name = i_queue_name;
    if not found then
        return null;
    end if;
    if not _q.idle then
        perform setval(_q.queue_event_seq::regclass,
                       nextval(_q.queue_event_seq::regclass) + 2::bigint * _q.queue_ticker_max_count + 1000);
    end if;
    return (select t.tick_id
              from pgq.tick t
             where t.tick_queue = _q.queue_id
             order by t.tick_queue desc, t.tick_id desc
             limit 1);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
