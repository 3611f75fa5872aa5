-- ----------------------------------------------------------------------
-- pgq_coop.unregister_subconsumer(queue, consumer, subconsumer, batch_handling)
--
-- Arguments:
--   i_batch_handling   0: refuse when a batch is open; 1: drop that batch, its
--                      events are lost for the consumer
-- Returns:  1 gone, 0 no such subconsumer
-- Writes:   pgq.subscription
-- ----------------------------------------------------------------------
create or replace function pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling integer)
returns integer
as $$
declare
    l_sub record;
begin
    -- first the main key, as everywhere
    perform 1
       from pgq.subscription_key k
       join pgq.queue q on q.queue_id = k.sub_queue
       join pgq.consumer c on c.co_id = k.sub_consumer
      where q.queue_name = i_queue_name
        and c.co_name = i_consumer_name
        for update of k;

    select s.sub_queue, s.sub_consumer, s.sub_batch into l_sub
      from pgq.queue q
      join pgq.consumer c on c.co_name = i_consumer_name || '.' || i_subconsumer_name
      join pgq.subscription_key k on k.sub_queue = q.queue_id and k.sub_consumer = c.co_id
      join pgq.consumer mc on mc.co_name = i_consumer_name
      join pgq.subscription_key m
        on m.sub_queue = q.queue_id and m.sub_consumer = mc.co_id and m.sub_id = k.sub_id
      cross join lateral pgq._subscription(k.sub_queue, k.sub_consumer) s
     where q.queue_name = i_queue_name;
    if not found then
        return 0;
    end if;
    if l_sub.sub_batch is not null and i_batch_handling is distinct from 1 then
        raise exception 'subconsumer has active batch'
            using detail = format('Queue %s, consumer %s, subconsumer %s, batch %s',
                                  i_queue_name, i_consumer_name, i_subconsumer_name, l_sub.sub_batch),
                  hint = 'Finish it with pgq_coop.finish_batch(), or pass batch_handling = 1 to lose its events.';
    end if;

    delete from pgq.subscription
     where sub_queue = l_sub.sub_queue
       and sub_consumer = l_sub.sub_consumer;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
