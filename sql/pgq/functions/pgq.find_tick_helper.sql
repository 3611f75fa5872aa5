create or replace function pgq.find_tick_helper(
    in i_queue_id int4, in i_prev_tick_id int8, in i_prev_tick_time timestamptz, in i_prev_tick_seq int8,
    in i_min_count int8, in i_min_interval interval,
    out next_tick_id int8, out next_tick_time timestamptz, out next_tick_seq int8)
as $$
-- Chooses the end of a batch that shall hold at least so many events or cover at least so much time.
--
-- The newest tick is taken when it suffices.  When it goes beyond twice a wanted amount, the earliest tick that
-- suffices is taken instead.
--
-- Returns:
--      the tick, or nulls when no tick suffices yet
-- Tables read:
--      pgq.tick
declare
    _t record;
    _count int8;
    _time interval;
begin
    select tick_id, tick_time, tick_event_seq into _t
      from pgq.tick
     where tick_queue = i_queue_id and tick_id > i_prev_tick_id
     order by tick_queue desc, tick_id desc
     limit 1;
    if not found then
        return;
    end if;

    _count := _t.tick_event_seq - i_prev_tick_seq;
    _time := _t.tick_time - i_prev_tick_time;
    if not coalesce(_count >= i_min_count, false) and not coalesce(_time >= i_min_interval, false) then
        return;
    end if;

    if _count > 2 * i_min_count or _time > 2 * i_min_interval then
        select tick_id, tick_time, tick_event_seq into _t
          from pgq.tick
         where tick_queue = i_queue_id and tick_id > i_prev_tick_id
           and (tick_event_seq - i_prev_tick_seq >= i_min_count
                or tick_time - i_prev_tick_time >= i_min_interval)
         order by tick_queue asc, tick_id asc
         limit 1;
    end if;

    next_tick_id := _t.tick_id;
    next_tick_time := _t.tick_time;
    next_tick_seq := _t.tick_event_seq;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;
