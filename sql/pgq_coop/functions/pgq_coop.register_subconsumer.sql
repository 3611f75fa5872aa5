-- ----------------------------------------------------------------------
-- pgq_coop.register_subconsumer(queue, consumer, subconsumer)
--
--   Make the subconsumer, and the consumer if that is new too.
--
-- Returns:  1 new, 0 was there
-- Raises:   when a plain consumer, or somebody else's subconsumer, has the name
--           <consumer>.<subconsumer>
-- Writes:   pgq.consumer, pgq.subscription
-- ----------------------------------------------------------------------
create or replace function pgq_coop.register_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
as $$
declare
    l_sub_name text = i_consumer_name || '.' || i_subconsumer_name;
    l_main record;
begin
    perform pgq.register_consumer(i_queue_name, i_consumer_name);
    -- the lock serialises siblings
    select k.sub_queue, k.sub_id into l_main
      from pgq.subscription_key k
      join pgq.queue q on q.queue_id = k.sub_queue
      join pgq.consumer c on c.co_id = k.sub_consumer
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name
       for update of k;
    if not found then
        raise exception 'main consumer not found';
    end if;

    if pgq.register_consumer(i_queue_name, l_sub_name) = 0 then
        if not exists (select 1
                         from pgq.subscription_key k
                         join pgq.consumer c on c.co_id = k.sub_consumer
                        where k.sub_queue = l_main.sub_queue
                          and k.sub_id = l_main.sub_id
                          and c.co_name = l_sub_name)
        then
            -- its position is its own
            raise exception 'consumer % is not a subconsumer of %', l_sub_name, i_consumer_name
                using errcode = 'object_not_in_prerequisite_state',
                      detail = format('Queue %s', i_queue_name),
                      hint = 'Use another name for the subconsumer, or unregister that consumer.';
        end if;
        return 0;
    end if;
    update pgq.subscription s
       set sub_id = l_main.sub_id,
           sub_last_tick = null,
           sub_next_tick = null
      from pgq.consumer c
     where s.sub_queue = l_main.sub_queue
       and s.sub_consumer = c.co_id
       and c.co_name = l_sub_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
