create or replace function pgq._newest_event(i_queue pgq.queue)
returns bigint as $$
-- The highest number among the events of a queue that its ticks do not account for; null when there is none.
--
-- A tick with the highest number of all, S, knew what the sequence was at just before its snapshot.  An event above S was
-- drawn later, so its transaction was not finished at the tick before that one: only events from that tick's xmin on are read, by
-- the index on ev_txid.  Where ticks are from a server that had used more transaction ids, all are.
--
-- Tables read:
--      pgq.tick, pgq.event_N_M
declare
    _from bigint;
    _newest bigint;
    _in_table bigint;
    _table text;
begin
    select txid_snapshot_xmin(b.tick_snapshot) into _from
      from pgq.tick b
     where b.tick_queue = i_queue.queue_id
       and b.tick_id < (select t.tick_id from pgq.tick t
                         where t.tick_queue = i_queue.queue_id
                         order by t.tick_event_seq desc, t.tick_id desc
                         limit 1)
     order by b.tick_id desc
     limit 1;
    if _from is null or _from > txid_snapshot_xmax(txid_current_snapshot()) then
        _from := 0;
    end if;
    for _n in 0 .. i_queue.queue_ntables - 1 loop
        _table := i_queue.queue_data_pfx || '_' || _n::text;
        continue when to_regclass(_table) is null;
        execute format('select max(ev_id) from only %s where ev_txid >= $1', pgq.quote_fqname(_table)) into _in_table using _from;
        _newest := greatest(_newest, _in_table);
    end loop;
    return _newest;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;
