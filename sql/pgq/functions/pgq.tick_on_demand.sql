create or replace function pgq.tick_on_demand(i_queue_name text)
returns bigint as $$
-- Makes a tick for a consumer that has nothing left to do, as soon as an event waits, whatever ticker_max_count and
-- ticker_max_lag say.  Meant to be called often: docs/design/ticks-on-demand.md.
--
-- It makes none where the ticker makes none (external tick source, ticker paused, another server's ticks), while somebody else
-- ticks or rotates the queue, within a few milliseconds of the last one, and for a transaction whose snapshot is older than the
-- call.  It never waits for a lock.
--
-- Returns:
--      newest tick id, which may be older than the call; null when there is none
-- Errors:
--      no such queue
-- Tables directly manipulated:
--      lock - pgq.queue, insert - pgq.tick
declare
    _q record;
    _newest record;
    _now txid_snapshot := txid_current_snapshot();
    _done bigint[];
    _waits boolean;
    _table text;
    _last_event bigint;
begin
    select q.queue_id, q.queue_tick_seq::regclass as tick_seq, q.queue_event_seq::regclass as event_seq,
           q.queue_data_pfx || '_' || q.queue_cur_table as event_table,
           not q.queue_external_ticker and not q.queue_ticker_paused as ticks,
           coalesce(pg_sequence_last_value(q.queue_event_seq::regclass), 1) > t.tick_event_seq as drawn,
           coalesce(pg_sequence_last_value(q.queue_event_seq::regclass), 1) < t.tick_event_seq as set_back,
           t.tick_id, t.tick_time, t.tick_snapshot
      into _q
      from pgq.queue q
           left join lateral (
                select t.*
                  from pgq.tick t
                 where t.tick_queue = q.queue_id
                 order by t.tick_queue desc, t.tick_id desc
                 limit 1) t on true
     where q.queue_name = i_queue_name;
    if not found then
        raise exception 'no such queue';
    end if;
    if _q.ticks is not true or _q.tick_id is null
       -- one in the future is of a clock that was ahead
       or clock_timestamp() between _q.tick_time and _q.tick_time + '5 ms'
       or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted')
       -- the ticker says what is wrong
       or _q.set_back
       or txid_snapshot_xmax(_q.tick_snapshot) > txid_snapshot_xmax(_now) then
        return _q.tick_id;
    end if;

    if _q.drawn is not true then
        -- No number was drawn since; but who had drawn one may have been open still.  Nearly always nobody has
        -- committed since but the tick itself, and the event table need not be asked.
        select array_agg(x) into _done
          from txid_snapshot_xip(_q.tick_snapshot) x
         where txid_visible_in_snapshot(x, _now);
        if _done is null
           and txid_snapshot_xmax(_now) - txid_snapshot_xmax(_q.tick_snapshot) <= 1 then
            return _q.tick_id;
        end if;
        _table := pgq.quote_fqname(_q.event_table);
        execute format('select exists (select 1 from %s where ev_txid >= $1) or exists (select 1 from %s where ev_txid = any ($2))',
                       _table, _table)
           into _waits
          using txid_snapshot_xmax(_q.tick_snapshot), _done;
        if not _waits then
            return _q.tick_id;
        end if;
    end if;

    -- The lock under which all ticks are made, pgqd's and those of pgq.ticker: TICK_LOCK in crates/pgqd/src/sql.rs.  It is tried
    -- only: a tick that is under way will do.
    if not pg_try_advisory_xact_lock(1885827428, 1) then
        return _q.tick_id;
    end if;
    -- The table of ticks comes before that of queues for all that lock both.
    begin
        lock table pgq.tick in row exclusive mode nowait;
    exception
        when lock_not_available then
            return _q.tick_id;
    end;
    -- The foreign key of the new row wants this lock, and would wait for a rotation while all other ticks wait for this call.
    perform 1 from pgq.queue q where q.queue_id = _q.queue_id for key share skip locked;
    if not found then
        return _q.tick_id;
    end if;
    -- as in pgq.ticker
    perform txid_current();
    select t.tick_id,
           txid_current() - ((txid_current() - t.xmin::text::bigint) & 4294967295) >= txid_snapshot_xmax(t.tick_snapshot)
           and exists (select 1 from pgq.queue_server s where s.queue_id = t.tick_queue) as of_here
      into _newest
      from pgq.tick t
     where t.tick_queue = _q.queue_id
     order by t.tick_queue desc, t.tick_id desc
     limit 1;
    if _newest.tick_id is distinct from _q.tick_id or not _newest.of_here and not pgq._settle_server(_q.queue_id) then
        return _newest.tick_id;
    end if;
    perform pgq._flush_tick();
    -- read before the snapshot of the tick is taken: see tick_event_seq
    _last_event := coalesce(pg_sequence_last_value(_q.event_seq), 1);
    insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
        values (_q.queue_id, nextval(_q.tick_seq), _last_event);
    return currval(_q.tick_seq);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
