create or replace function pgq.next_batch_info(
    in i_queue_name text, in i_consumer_name text,
    out batch_id int8, out cur_tick_id int8, out prev_tick_id int8,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq int8, out prev_tick_event_seq int8)
as $$
-- Opens the next batch of a consumer.  See pgq.next_batch_custom.
begin
    select b.batch_id, b.cur_tick_id, b.prev_tick_id, b.cur_tick_time, b.prev_tick_time,
           b.cur_tick_event_seq, b.prev_tick_event_seq
      into batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time,
           cur_tick_event_seq, prev_tick_event_seq
      from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null) b;
end;
$$ language plpgsql;

create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns int8 as $$
-- Opens the next batch of a consumer and returns its id, or null when there is none yet.
begin
    return (select b.batch_id from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null) b);
end;
$$ language plpgsql;

create or replace function pgq.next_batch_custom(
    in i_queue_name text, in i_consumer_name text,
    in i_min_lag interval, in i_min_count int4, in i_min_interval interval,
    out batch_id int8, out cur_tick_id int8, out prev_tick_id int8,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq int8, out prev_tick_event_seq int8)
as $$
-- Opens a batch.  A batch that is open already is returned again, unchanged, until it is finished.
--
-- Parameters:
--      i_min_lag       - stay that far behind the present
--      i_min_count     - wanted number of events
--      i_min_interval  - wanted time between the two ticks; with i_min_count, either suffices
--
-- Returns:
--      one row; batch_id is null when there is no such batch yet
-- Errors:
--      Not subscriber to queue; PgQ corruption
-- Tables directly manipulated:
--      update - pgq.subscription
declare
    _s record;
begin
    -- Again only when another transaction got in between.
    loop
        select s.row_id, s.sub_queue, s.sub_consumer, s.sub_batch,
               l.tick_id as last_id, l.tick_time as last_time, l.tick_event_seq as last_seq,
               n.tick_id as next_id, n.tick_time as next_time, n.tick_event_seq as next_seq
          into _s
          from pgq.queue q
               cross join pgq.consumer c
               cross join lateral (      -- as pgq._subscription() does
                    select v.ctid as row_id, v.*
                      from pgq.subscription v
                     where v.sub_queue = q.queue_id and v.sub_consumer = c.co_id
                     order by v.sub_active desc
                     limit 1) s
               -- limit 1: statistics that are old must not turn the look-up of a tick into a scan of them all
               left join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick limit 1) l on true
               left join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_next_tick limit 1) n on true
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name;
        if not found then
            raise exception 'Not subscriber to queue: %/%',
                coalesce(i_queue_name, 'NULL'), coalesce(i_consumer_name, 'NULL');
        end if;
        if _s.last_id is null then
            raise exception 'PgQ corruption: Consumer % on queue % does not see tick %',
                i_consumer_name, i_queue_name, _s.sub_last_tick;
        end if;
        exit when _s.sub_batch is not null;

        if i_min_count is null and i_min_interval is null then
            select t.tick_id, t.tick_time, t.tick_event_seq
              into _s.next_id, _s.next_time, _s.next_seq
              from pgq.tick t
             where t.tick_queue = _s.sub_queue and t.tick_id > _s.last_id
             order by t.tick_queue asc, t.tick_id asc
             limit 1;
        else
            select h.next_tick_id, h.next_tick_time, h.next_tick_seq
              into _s.next_id, _s.next_time, _s.next_seq
              from pgq.find_tick_helper(_s.sub_queue, _s.last_id, _s.last_time, _s.last_seq,
                                        i_min_count, i_min_interval) h;
        end if;

        if _s.next_id is null or now() - _s.next_time < i_min_lag then
            return;
        end if;

        _s.sub_batch := nextval('pgq.batch_id_seq');
        update pgq.subscription s
           set sub_batch = _s.sub_batch,
               sub_next_tick = _s.next_id,
               sub_active = pgq._seen(s.sub_active)     -- does not fall: the newest version is found by it
         where s.ctid = _s.row_id
           and s.sub_queue = _s.sub_queue and s.sub_consumer = _s.sub_consumer
           and s.sub_batch is null and s.sub_last_tick = _s.last_id;
        exit when found;
    end loop;

    batch_id := _s.sub_batch;
    cur_tick_id := _s.next_id;
    prev_tick_id := _s.last_id;
    cur_tick_time := _s.next_time;
    prev_tick_time := _s.last_time;
    cur_tick_event_seq := _s.next_seq;
    prev_tick_event_seq := _s.last_seq;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pgq, pg_temp set enable_sort = off;
