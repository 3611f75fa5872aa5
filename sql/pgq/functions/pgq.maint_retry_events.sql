create or replace function pgq.maint_retry_events()
returns integer as $$
-- Moves due events from the retry queue back into their queues, at most 10 per call.
--
-- Returns:
--      number of events moved; to be called again until it is 0
-- Calls:
--      pgq.insert_event_raw
-- Tables directly manipulated:
--      lock, delete - pgq.retry_queue
declare
    _ev record;
    _count integer := 0;
begin
    -- one mover at a time
    lock table pgq.retry_queue in share update exclusive mode;

    for _ev in
        select r.*, q.queue_name
          from pgq.retry_queue r join pgq.queue q on q.queue_id = r.ev_queue
         where r.ev_retry_after <= pg_catalog.now()
         order by r.ev_retry_after
         limit 10
    loop
        perform pgq.insert_event_raw(_ev.queue_name, _ev.ev_id, _ev.ev_time, _ev.ev_owner, _ev.ev_retry,
                                     _ev.ev_type, _ev.ev_data,
                                     _ev.ev_extra1, _ev.ev_extra2, _ev.ev_extra3, _ev.ev_extra4);
        delete from pgq.retry_queue where ev_owner = _ev.ev_owner and ev_id = _ev.ev_id;
        _count := _count + 1;
    end loop;
    return _count;
end;
$$ language plpgsql;
