create or replace function pgq.maint_retry_events()
returns integer as $$
-- Moves due events from the retry queue back into their queues, at most 10 per call.
--
-- Events of a queue that takes none (queue_disable_insert) stay until it does.  One that cannot be moved for another reason
-- is reported by a warning and tried again a minute later; the rest of its queue waits for the next call, other queues do not wait.
--
-- Returns:
--      number of events moved; to be called again until it is 0
-- Calls:
--      pgq.insert_event_raw
-- Tables directly manipulated:
--      lock, delete, update - pgq.retry_queue
declare
    _ev record;
    _count integer := 0;
    _failed int4[] := array[]::int4[];
    _again boolean;
begin
    -- one mover at a time
    lock table pgq.retry_queue in share update exclusive mode;

    loop
        _again := false;
        for _ev in
            select r.*, q.queue_name
              from pgq.retry_queue r join pgq.queue q on q.queue_id = r.ev_queue
             where r.ev_retry_after <= now()
               and (not q.queue_disable_insert or current_setting('session_replication_role') = 'replica')
               and r.ev_queue <> all (_failed)
             order by r.ev_retry_after
             limit 10 - _count
        loop
            begin
                perform pgq.insert_event_raw(_ev.queue_name, _ev.ev_id, _ev.ev_time, _ev.ev_owner, _ev.ev_retry,
                                             _ev.ev_type, _ev.ev_data,
                                             _ev.ev_extra1, _ev.ev_extra2, _ev.ev_extra3, _ev.ev_extra4);
                delete from pgq.retry_queue where ev_owner = _ev.ev_owner and ev_id = _ev.ev_id;
                _count := _count + 1;
            exception
                when others then
                    raise warning 'event % cannot be put back into queue "%": %', _ev.ev_id, _ev.queue_name, sqlerrm
                        using errcode = sqlstate;
                    -- not at the head of the line any more
                    update pgq.retry_queue set ev_retry_after = now() + interval '1 minute'
                     where ev_owner = _ev.ev_owner and ev_id = _ev.ev_id;
                    _failed := _failed || _ev.ev_queue;
                    _again := true;
                    exit;
            end;
        end loop;
        exit when not _again;
    end loop;
    return _count;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set row_security = off;
