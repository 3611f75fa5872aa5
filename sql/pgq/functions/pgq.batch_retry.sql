create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer as $$
-- Has every event of an open batch delivered again after so many seconds, except those that wait already.
--
-- Returns:
--      number of events put into the retry queue
-- Errors:
--      batch_retry: batch .. not found
-- Tables directly manipulated:
--      insert - pgq.retry_queue
declare
    _s record;
    _count integer;
begin
    select s.sub_id, s.sub_queue into _s from pgq._batch(i_batch_id) s;
    if not found then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;
    -- one batch may carry an event and its redelivered copy under one id
    insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_txid, ev_owner, ev_retry,
                                 ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select now() + make_interval(secs => i_retry_seconds), _s.sub_queue,
           e.ev_id, e.ev_time, null, _s.sub_id, coalesce(e.ev_retry, 0) + 1,
           e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
      from pgq.get_batch_events(i_batch_id) e
    on conflict (ev_owner, ev_id) do nothing;
    get diagnostics _count = row_count;
    return _count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
