create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer as $$
-- Has one event of an open batch delivered again, to this consumer only.
--
-- Parameters:
--      x_retry_time    - not before this time
--
-- Returns:
--      1, or 0 when the event waits for redelivery already
-- Errors:
--      event not found
-- Tables directly manipulated:
--      insert - pgq.retry_queue
declare
    _ev record;
    _count integer;
begin
    -- the redelivered copy may be in one batch with the event itself: the copy has counted further
    select e.*, s.sub_queue, s.sub_id into _ev
      from pgq.get_batch_events(x_batch_id) e, pgq._batch(x_batch_id) s
     where e.ev_id = x_event_id
     order by e.ev_retry desc nulls last
     limit 1;
    if not found then
        raise exception 'event not found';
    end if;

    insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_txid, ev_owner, ev_retry,
                                 ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
        values (x_retry_time, _ev.sub_queue, _ev.ev_id, _ev.ev_time, null, _ev.sub_id, coalesce(_ev.ev_retry, 0) + 1,
                _ev.ev_type, _ev.ev_data, _ev.ev_extra1, _ev.ev_extra2, _ev.ev_extra3, _ev.ev_extra4)
        on conflict (ev_owner, ev_id) do nothing;
    get diagnostics _count = row_count;
    return _count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer as $$
-- Has one event of an open batch delivered again after so many seconds.
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + make_interval(secs => x_retry_seconds));
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
