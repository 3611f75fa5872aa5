create or replace function pgq._subscription(
    in i_queue int4, in i_consumer int4,
    out row_id tid, out sub_id int4, out sub_queue int4, out sub_consumer int4, out sub_last_tick bigint,
    out sub_active timestamptz, out sub_batch bigint, out sub_next_tick bigint)
returns setof record as $$
-- Finds the row of one subscription, newest version first: docs/design/newest-first.md.
--
-- An index leads to the newest version whatever the statistics say; any other plan would walk all versions, and
-- would need a sort.
--
-- Returns:
--      the row and its place, or nothing
-- Tables read:
--      pgq.subscription
begin
    return query
    select s.ctid, s.sub_id, s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_active, s.sub_batch, s.sub_next_tick
      from pgq.subscription s
     where s.sub_queue = i_queue and s.sub_consumer = i_consumer
     order by s.sub_active desc
     limit 1;
end;
$$ language plpgsql stable security definer rows 1
   set search_path = pg_catalog, pgq, pg_temp set enable_sort = off;

create or replace function pgq._batch(
    in i_batch bigint,
    out row_id tid, out sub_id int4, out sub_queue int4, out sub_consumer int4, out sub_last_tick bigint,
    out sub_active timestamptz, out sub_batch bigint, out sub_next_tick bigint)
returns setof record as $$
-- Finds the row of the subscription that has a batch open.
--
-- Only subscription_batch_idx gives this order without a sort.  An equality could be looked for in any index of the
-- table, for the same price as long as the table looks small, and that would walk all versions.
--
-- Returns:
--      the row and its place, or nothing
-- Tables read:
--      pgq.subscription
begin
    return query
    select s.ctid, s.sub_id, s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_active, s.sub_batch, s.sub_next_tick
      from pgq.subscription s
     where s.sub_batch >= i_batch and s.sub_batch <= i_batch
     order by s.sub_batch desc
     limit 1;
end;
$$ language plpgsql stable security definer rows 1
   set search_path = pg_catalog, pgq, pg_temp set enable_sort = off;

create or replace function pgq._seen(i_before timestamptz)
returns timestamptz as $$
-- What sub_active becomes when a consumer is seen that was seen at i_before.
--
-- It does not fall, since the newest version of the row is found by it: another transaction may have begun later than this one
-- and be here before.  But a time that the clock has not reached yet was written before the clock was set right.  To keep it
-- would hide until then that the consumer is dead.  Look-ups walk the versions with such times until vacuum removes them.
--
-- Written so that the planner can put it into the calling query.
    select case when i_before operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.interval '1 minute')
                then pg_catalog.now()
                else greatest(pg_catalog.now(), i_before) end
$$ language sql;

create or replace function pgq._move_subscription(
    i_queue int4, i_consumer int4, i_last_tick bigint, i_next_tick bigint, i_batch bigint)
returns boolean as $$
-- Puts one subscription to a position, from whatever it was.
--
-- Returns:
--      false when there is no such subscription
-- Tables directly manipulated:
--      update - pgq.subscription
declare
    _row tid;
begin
    loop
        select s.row_id into _row from pgq._subscription(i_queue, i_consumer) s;
        if not found then
            return false;
        end if;
        -- nothing found here: another transaction has moved it since
        update pgq.subscription s
           set sub_last_tick = i_last_tick,
               sub_next_tick = i_next_tick,
               sub_batch = i_batch,
               sub_active = pgq._seen(s.sub_active)
         where s.ctid = _row and s.sub_queue = i_queue and s.sub_consumer = i_consumer;
        if found then
            return true;
        end if;
    end loop;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pgq, pg_temp;
