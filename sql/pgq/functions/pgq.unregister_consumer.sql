create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer as $$
-- Ends a subscription.  Events that wait for redelivery go with it.
--
-- Returns:
--      number of consumers unregistered: 0 when there was none, more than 1 when the consumer had subconsumers
-- Tables directly manipulated:
--      delete - pgq.subscription, pgq.retry_queue, pgq.consumer
declare
    _s record;
    _sharing integer;
begin
    -- In the order in which registering locks them, the row of the consumer before its key: one waits for the other, instead of
    -- each for the other.
    perform 1 from pgq.consumer where co_name = x_consumer_name for update;

    -- Between calls a main consumer with subconsumers has only sub_last_tick set, a subconsumer both ticks or none.
    select k.sub_id, k.sub_queue, k.sub_consumer
      into _s
      from pgq.queue q
           join pgq.subscription_key k on k.sub_queue = q.queue_id
           join pgq.consumer c on c.co_id = k.sub_consumer
     where q.queue_name = x_queue_name
       and c.co_name = x_consumer_name
       for update of k;
    if not found then
        return 0;
    end if;

    select count(*) into _sharing from pgq.subscription_key where sub_id = _s.sub_id;
    if _sharing > 1
       and (select (s.sub_last_tick is null) = (s.sub_next_tick is null)
              from pgq._subscription(_s.sub_queue, _s.sub_consumer) s)
    then
        delete from pgq.subscription where sub_queue = _s.sub_queue and sub_consumer = _s.sub_consumer;
        return 1;
    end if;

    delete from pgq.retry_queue where ev_owner = _s.sub_id;
    delete from pgq.subscription
     where (sub_queue, sub_consumer) in (select sub_queue, sub_consumer from pgq.subscription_key where sub_id = _s.sub_id);
    delete from pgq.consumer
     where co_id = _s.sub_consumer
       and not exists (select 1 from pgq.subscription_key where sub_consumer = _s.sub_consumer);
    return _sharing;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
