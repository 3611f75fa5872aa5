-- ----------------------------------------------------------------------
-- pgq_coop.next_batch_custom(queue, consumer, subconsumer, min_lag, min_count,
--                            min_interval [, dead_interval])
--
--   Next batch for a subconsumer: its open one, else one of a dead sibling, else
--   a new one of the main consumer, whose position moves on.  Consumer and
--   subconsumer are registered if they are not.
--
-- Arguments:
--   i_min_lag, i_min_count, i_min_interval   as in pgq.next_batch_custom()
--   i_dead_interval   siblings not seen for so long lose their registration, and
--                     their batch to us
-- Returns:  batch id; NULL when there is nothing to do
-- Raises:   when somebody has opened a batch of the main consumer itself; when a
--           plain consumer, or somebody else's subconsumer, has the name
--           <consumer>.<subconsumer>
-- Writes:   pgq.subscription
-- ----------------------------------------------------------------------
create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count int4, i_min_interval interval, i_dead_interval interval)
returns bigint
as $$
declare
    l_main record;
    l_self record;
    l_dead record;
    l_new record;
begin
    -- Registering locks the consumer, then its key; whoever holds the key already would wait the wrong way round.
    perform 1
       from pgq.queue q
       join pgq.subscription_key k on k.sub_queue = q.queue_id
       join pgq.consumer c on c.co_id = k.sub_consumer
      where q.queue_name = i_queue_name
        and c.co_name = i_consumer_name || '.' || i_subconsumer_name;
    if not found then
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end if;

    loop
        -- the lock serialises siblings
        select k.sub_queue, k.sub_consumer, k.sub_id into l_main
          from pgq.subscription_key k
          join pgq.queue q on q.queue_id = k.sub_queue
          join pgq.consumer c on c.co_id = k.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name
           for update of k;
        if (select s.sub_next_tick from pgq._subscription(l_main.sub_queue, l_main.sub_consumer) s) is not null then
            raise exception 'main consumer has batch open?'
                using detail = format('Queue %s, consumer %s', i_queue_name, i_consumer_name),
                      hint = 'Finish it with pgq.finish_batch(); subconsumers use pgq_coop.next_batch().';
        end if;

        select s.row_id, s.sub_id, s.sub_consumer, s.sub_batch into l_self
          from pgq.consumer c
          cross join lateral pgq._subscription(l_main.sub_queue, c.co_id) s
         where c.co_name = i_consumer_name || '.' || i_subconsumer_name;
        exit when found;
        -- the main consumer is missing, or somebody has removed one of the two since
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;
    -- its position is its own
    if l_self.sub_id is distinct from l_main.sub_id then
        raise exception 'consumer %.% is not a subconsumer of %', i_consumer_name, i_subconsumer_name, i_consumer_name
            using errcode = 'object_not_in_prerequisite_state',
                  detail = format('Queue %s', i_queue_name),
                  hint = 'Use another name for the subconsumer, or unregister that consumer.';
    end if;

    if l_self.sub_batch is not null then
        update pgq.subscription s
           set sub_active = pgq._seen(s.sub_active)
         where s.ctid = l_self.row_id
           and s.sub_queue = l_main.sub_queue
           and s.sub_consumer = l_self.sub_consumer;
        return l_self.sub_batch;
    end if;

    if i_dead_interval is not null then
        -- One that was seen in the future, by a clock that has been set right since, is watched from now on.
        for l_dead in
            select s.row_id, s.sub_consumer
              from pgq.subscription_key k
              cross join lateral pgq._subscription(k.sub_queue, k.sub_consumer) s
             where k.sub_queue = l_main.sub_queue
               and k.sub_id = l_main.sub_id
               and k.sub_consumer not in (l_main.sub_consumer, l_self.sub_consumer)
               and pgq._seen(s.sub_active) < s.sub_active
        loop
            update pgq.subscription s
               set sub_active = pgq._seen(s.sub_active)
             where s.ctid = l_dead.row_id
               and s.sub_queue = l_main.sub_queue
               and s.sub_consumer = l_dead.sub_consumer;
        end loop;

        select s.row_id, s.sub_consumer, s.sub_batch, s.sub_last_tick, s.sub_next_tick into l_dead
          from pgq.subscription_key k
          cross join lateral pgq._subscription(k.sub_queue, k.sub_consumer) s
         where k.sub_queue = l_main.sub_queue
           and k.sub_id = l_main.sub_id
           and k.sub_consumer not in (l_main.sub_consumer, l_self.sub_consumer)
           and s.sub_active < now() - i_dead_interval
         order by s.sub_batch nulls last
         limit 1;
        if found then
            -- unless it has come back to life since
            delete from pgq.subscription s
             where s.ctid = l_dead.row_id
               and s.sub_queue = l_main.sub_queue
               and s.sub_consumer = l_dead.sub_consumer
               and s.sub_batch is not distinct from l_dead.sub_batch
               and s.sub_active < now() - i_dead_interval;
            if found and l_dead.sub_batch is not null then
                perform pgq._move_subscription(l_main.sub_queue, l_self.sub_consumer,
                                               l_dead.sub_last_tick, l_dead.sub_next_tick, l_dead.sub_batch);
                return l_dead.sub_batch;
            end if;
        end if;
    end if;

    select b.batch_id, b.cur_tick_id, b.prev_tick_id into l_new
      from pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval) b;
    if l_new.batch_id is null then
        return null;
    end if;

    -- the main row first: a batch id is in one row only
    perform pgq._move_subscription(l_main.sub_queue, l_main.sub_consumer, l_new.cur_tick_id, null, null);
    perform pgq._move_subscription(l_main.sub_queue, l_self.sub_consumer,
                                   l_new.prev_tick_id, l_new.cur_tick_id, l_new.batch_id);
    return l_new.batch_id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count int4, i_min_interval interval)
returns bigint
as $$
begin
    return pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name,
                                      i_min_lag, i_min_count, i_min_interval, null);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
