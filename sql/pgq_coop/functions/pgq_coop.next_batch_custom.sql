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
-- Raises:   when somebody has opened a batch of the main consumer itself
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
    loop
        -- the lock serialises siblings
        select s.sub_queue, s.sub_consumer, s.sub_id, s.sub_next_tick into l_main
          from pgq.subscription s
          join pgq.queue q on q.queue_id = s.sub_queue
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name
           for update of s;
        if l_main.sub_next_tick is not null then
            raise exception 'main consumer has batch open?'
                using detail = format('Queue %s, consumer %s', i_queue_name, i_consumer_name),
                      hint = 'Finish it with pgq.finish_batch(); subconsumers use pgq_coop.next_batch().';
        end if;

        select s.sub_consumer, s.sub_batch into l_self
          from pgq.subscription s
          join pgq.consumer c on c.co_id = s.sub_consumer
         where s.sub_queue = l_main.sub_queue
           and c.co_name = i_consumer_name || '.' || i_subconsumer_name;
        exit when found;
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;

    if l_self.sub_batch is not null then
        update pgq.subscription
           set sub_active = now()
         where sub_queue = l_main.sub_queue
           and sub_consumer = l_self.sub_consumer;
        return l_self.sub_batch;
    end if;

    if i_dead_interval is not null then
        select s.sub_consumer, s.sub_batch, s.sub_last_tick, s.sub_next_tick into l_dead
          from pgq.subscription s
         where s.sub_queue = l_main.sub_queue
           and s.sub_id = l_main.sub_id
           and s.sub_consumer not in (l_main.sub_consumer, l_self.sub_consumer)
           and s.sub_active < now() - i_dead_interval
         order by s.sub_batch nulls last
         limit 1
           for update;
        if found then
            delete from pgq.subscription
             where sub_queue = l_main.sub_queue
               and sub_consumer = l_dead.sub_consumer;
            if l_dead.sub_batch is not null then
                update pgq.subscription
                   set sub_batch = l_dead.sub_batch,
                       sub_last_tick = l_dead.sub_last_tick,
                       sub_next_tick = l_dead.sub_next_tick,
                       sub_active = now()
                 where sub_queue = l_main.sub_queue
                   and sub_consumer = l_self.sub_consumer;
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
    update pgq.subscription
       set sub_last_tick = l_new.cur_tick_id,
           sub_next_tick = null,
           sub_batch = null,
           sub_active = now()
     where sub_queue = l_main.sub_queue
       and sub_consumer = l_main.sub_consumer;
    update pgq.subscription
       set sub_last_tick = l_new.prev_tick_id,
           sub_next_tick = l_new.cur_tick_id,
           sub_batch = l_new.batch_id,
           sub_active = now()
     where sub_queue = l_main.sub_queue
       and sub_consumer = l_self.sub_consumer;
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
$$ language plpgsql;
