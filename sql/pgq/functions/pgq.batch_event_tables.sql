create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text as $$
-- Names the event tables that may hold events of an open batch: current, previous or both, previous first.
--
-- Errors:
--      Cannot find data for batch
-- Tables read:
--      pgq.subscription, pgq.tick, pgq.queue
declare
    _b record;
    _previous integer;
begin
    select q.queue_data_pfx, q.queue_ntables, q.queue_cur_table, q.queue_switch_step1, q.queue_switch_step2,
           txid_snapshot_xmin(l.tick_snapshot) as oldest,
           txid_snapshot_xmax(n.tick_snapshot) as newest
      into _b
      from pgq._batch(x_batch_id) s
           join pgq.queue q on q.queue_id = s.sub_queue
           -- limit 1: statistics that are old must not turn the look-up of a tick into a scan of them all
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick limit 1) l on true
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_next_tick limit 1) n on true;
    if not found then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;

    _previous := (_b.queue_cur_table + _b.queue_ntables - 1) % _b.queue_ntables;
    if _b.newest < _b.queue_switch_step1 then
        -- ended before the switch
        return next _b.queue_data_pfx || '_' || _previous::text;
    elsif _b.oldest > _b.queue_switch_step2 then
        -- began when nobody could write to the previous table any more
        return next _b.queue_data_pfx || '_' || _b.queue_cur_table::text;
    else
        return next _b.queue_data_pfx || '_' || _previous::text;
        return next _b.queue_data_pfx || '_' || _b.queue_cur_table::text;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
