create or replace function pgq.event_retry_raw(
    x_queue text, x_consumer text, x_retry_after timestamptz,
    x_ev_id bigint, x_ev_time timestamptz, x_ev_retry integer, x_ev_type text, x_ev_data text,
    x_ev_extra1 text, x_ev_extra2 text, x_ev_extra3 text, x_ev_extra4 text)
returns bigint as $$
-- Puts an event of any content into the retry queue of one consumer.
--
-- Parameters:
--      x_ev_id     - null: next number of the queue
--
-- Returns:
--      ev_id of the event
-- Errors:
--      consumer not registered
-- Tables directly manipulated:
--      insert - pgq.retry_queue
declare
    _s record;
    _id bigint := x_ev_id;
begin
    select s.sub_id, q.queue_id, q.queue_event_seq into _s
      from pgq.queue q
           join pgq.subscription_key s on s.sub_queue = q.queue_id
           join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = x_queue
       and c.co_name = x_consumer;
    if not found then
        raise exception 'consumer not registered';
    end if;
    if _id is null then
        _id := nextval(_s.queue_event_seq::regclass);
    end if;
    insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry,
                                 ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
        values (x_retry_after, _s.queue_id, _id, x_ev_time, _s.sub_id, x_ev_retry,
                x_ev_type, x_ev_data, x_ev_extra1, x_ev_extra2, x_ev_extra3, x_ev_extra4);
    return _id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
