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
      from pgq.subscription s
           join pgq.queue q on q.queue_id = s.sub_queue
           join pgq.tick l on l.tick_queue = s.sub_queue and l.tick_id = s.sub_last_tick
           join pgq.tick n on n.tick_queue = s.sub_queue and n.tick_id = s.sub_next_tick
     where s.sub_batch = x_batch_id;
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
$$ language plpgsql set enable_seqscan = off;
