create or replace function pgq.force_tick(i_queue_name text)
returns bigint as $$
-- Makes the ticker tick at its next round, by moving the event sequence far enough.
--
-- So far that a tick which is being made just now, and does not know of it, is followed by another one.
--
-- It does not tick itself: ticks made at the same time could have ids in another order than their snapshots.
-- The caller waits until the newest tick id differs from the one returned.
--
-- Returns:
--      newest tick id; null when there is no such queue
-- Tables directly manipulated:
--      nextval, setval - pgq.event_N_id_seq
declare
    _q record;
    _numbers bigint;
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
        _numbers := _q.queue_ticker_max_count::bigint + 1;
        if _numbers <= 50000 then
            -- Drawn one by one: setval() could set the sequence back behind what another caller has set and writers have drawn since, and
            -- their numbers would come twice.
            perform nextval(_q.queue_event_seq::regclass) from generate_series(1, _numbers);
        elsif pg_try_advisory_xact_lock(1885827428, 2) then
            -- So many would take too long.  One caller at a time; whoever comes meanwhile finds the sequence moved.  Writers do not
            -- draw that many between these two calls.
            perform setval(_q.queue_event_seq::regclass, nextval(_q.queue_event_seq::regclass) + 2 * _numbers);
        end if;
    end if;
    return (select t.tick_id
              from pgq.tick t
             where t.tick_queue = _q.queue_id
             order by t.tick_queue desc, t.tick_id desc
             limit 1);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
