create or replace function pgq.register_consumer(x_queue_name text, x_consumer_id text)
returns integer as $$
-- Subscribes a consumer to a queue, from the newest tick on.
--
-- Returns:
--      1 registered, 0 was registered already
begin
    return pgq.register_consumer_at(x_queue_name, x_consumer_id, null);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.register_consumer_at(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer as $$
-- Subscribes a consumer at a given tick, or moves a registered one there (its open batch is dropped).
--
-- Parameters:
--      x_tick_pos  - null: newest tick for a new consumer, no move for a registered one
--
-- Returns:
--      1 registered, 0 was registered already
-- Errors:
--      Event queue not created yet; cannot reposition, tick not found; No ticks for this queue;
--      serialization_failure, when not in READ COMMITTED
-- Tables directly manipulated:
--      insert/update - pgq.subscription, insert - pgq.consumer, lock - pgq.queue
declare
    _queue integer;
    _consumer integer;
    _pos bigint := x_tick_pos;
begin
    -- A rotation of this queue deletes ticks that nobody needs: it is waited for, or waits.  Every tick is looked for after this.
    select queue_id into _queue from pgq.queue where queue_name = x_queue_name for key share;
    if not found then
        raise exception 'Event queue not created yet';
    end if;
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        -- the snapshot shows ticks that are gone: refused when a rotation has been committed since
        perform 1 from pgq.queue where queue_id = _queue for share;
    end if;

    -- the lock serialises registrations of one name
    select co_id into _consumer from pgq.consumer where co_name = x_consumer_name for update;
    if not found then
        insert into pgq.consumer (co_name) values (x_consumer_name) returning co_id into _consumer;
    end if;

    if x_tick_pos is not null
       and not exists (select 1 from pgq.tick where tick_queue = _queue and tick_id = x_tick_pos) then
        raise exception 'cannot reposition, tick not found: %', x_tick_pos;
    end if;

    perform 1 from pgq.subscription_key where sub_queue = _queue and sub_consumer = _consumer;
    if found then
        if x_tick_pos is not null then
            perform pgq._move_subscription(_queue, _consumer, x_tick_pos, null, null);
        end if;
        return 0;
    end if;

    if _pos is null then
        select tick_id into _pos
          from pgq.tick
         where tick_queue = _queue
         order by tick_queue desc, tick_id desc
         limit 1;
        if not found then
            raise exception 'No ticks for this queue.  Please run ticker on database.';
        end if;
    end if;
    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick)
        values (_queue, _consumer, _pos);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
