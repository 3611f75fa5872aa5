create or replace function pgq.ticker(i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
returns bigint as $$
-- External ticker: makes a tick with the given id, time and event number, and the snapshot of this transaction.
--
-- Returns:
--      tick id
-- Errors:
--      queue not found or ticker disabled; unique_violation for an id that exists; those of pgq._assert_same_server
-- Tables directly manipulated:
--      insert - pgq.tick
declare
    _q record;
begin
    select q.queue_id, q.queue_tick_seq, q.queue_event_seq into _q
      from pgq.queue q
     where q.queue_name = i_queue_name
       and q.queue_external_ticker
       and not q.queue_ticker_paused;
    if not found then
        raise exception 'queue not found or ticker disabled: %', i_queue_name;
    end if;

    perform pgq._assert_same_server(_q.queue_id, i_queue_name);
    perform pgq._flush_tick();
    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
        values (_q.queue_id, i_tick_id, i_orig_timestamp, i_event_seq);

    -- local numbers go on from there should this node become a root
    perform pgq.seq_setval(_q.queue_tick_seq, i_tick_id);
    perform pgq.seq_setval(_q.queue_event_seq, i_event_seq);
    return i_tick_id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.ticker(i_queue_name text)
returns bigint as $$
-- Makes a tick on a queue when one is due.
--
-- With new events: after ticker_max_count events or ticker_max_lag.  Without: at intervals that double up to
-- ticker_idle_period.
--
-- Numbers of ticks and their snapshots must have one order, so they are made one after another, under the lock that pgqd and
-- pgq.tick_on_demand take, too.  It is only tried, since who waits may be waited for; until the end of the caller's transaction
-- nobody else ticks.
--
-- Returns:
--      tick id, null when no tick was due, or somebody else is making ticks
-- Errors:
--      no such queue; This queue has external tick source.; Ticker has been paused for this queue;
--      Invalid PgQ state: the last tick is in the future, as after restoring a dump into another cluster, or was; the
--      event sequence was set back;
--      serialization_failure: another tick was made since the snapshot of this transaction
-- Tables directly manipulated:
--      insert - pgq.tick
declare
    _q record;
    _last record;
    _newest bigint;
    _of_here boolean := false;
    _gap interval;
    _lag interval;
    _new bigint;
begin
    -- The event number is read before the snapshot of the tick is taken: see tick_event_seq.  seq_getval plans a query
    -- at each call; only a sequence that was never used needs it.
    select q.queue_id, q.queue_tick_seq, q.queue_event_seq, q.queue_external_ticker, q.queue_ticker_paused,
           q.queue_ticker_max_count, q.queue_ticker_max_lag, q.queue_ticker_idle_period,
           coalesce(pg_sequence_last_value(q.queue_event_seq::regclass), pgq.seq_getval(q.queue_event_seq)) as event_seq
      into _q
      from pgq.queue q
     where q.queue_name = i_queue_name;
    if not found then
        raise exception 'no such queue';
    end if;
    if _q.queue_external_ticker then
        raise exception 'This queue has external tick source.';
    end if;
    if _q.queue_ticker_paused then
        raise exception 'Ticker has been paused for this queue';
    end if;

    select t.tick_id, t.tick_time, t.tick_event_seq,
           txid_snapshot_xmax(t.tick_snapshot) as xmax
      into _last
      from pgq.tick t
     where t.tick_queue = _q.queue_id
     order by t.tick_queue desc, t.tick_id desc
     limit 1;

    if found then
        -- The snapshot tells in nearly all cases; asking for a transaction id would consume one per idle queue.
        if _last.xmax > txid_snapshot_xmax(txid_current_snapshot()) then
            perform pgq._assert_same_server(_q.queue_id, i_queue_name);
        end if;

        _lag := now() - _last.tick_time;
        _new := _q.event_seq - _last.tick_event_seq;
        -- asked again: the other may have been asked before the tick was made
        if _new < 0 and coalesce(pg_sequence_last_value(_q.queue_event_seq::regclass), 0) < _last.tick_event_seq then
            -- in one line, as in pgq._assert_same_server
            raise exception 'Invalid PgQ state: sequence % of queue "%" is at %, but its last tick knows of event %: numbers come twice, and '
                'consumers would see new events before older ones; run: skytools verify --repair, or: select pgq.seq_setval(%, %)',
                _q.queue_event_seq, i_queue_name, _q.event_seq, _last.tick_event_seq, quote_literal(_q.queue_event_seq), _last.tick_event_seq;
        end if;

        if _last.tick_time > clock_timestamp() then
            null;  -- the clock was ahead: due, rather than when the clock is there again
        elsif _new > 0 then
            if _new < _q.queue_ticker_max_count and _lag < _q.queue_ticker_max_lag then
                return null;
            end if;
        else
            select _last.tick_time - t.tick_time into _gap
              from pgq.tick t
             where t.tick_queue = _q.queue_id and t.tick_id < _last.tick_id
             order by t.tick_queue desc, t.tick_id desc
             limit 1;
            if found and (_lag < _q.queue_ticker_max_lag / 2
                          or (_lag < _gap * 2 and _lag < _q.queue_ticker_idle_period)) then
                return null;
            end if;
        end if;
    end if;

    if pg_sequence_last_value(_q.queue_tick_seq::regclass) is not null then
        -- TICK_LOCK in crates/pgqd/src/sql.rs.  A queue that is just being created needs none: nobody else sees it.
        if not pg_try_advisory_xact_lock(1885827428, 1) then
            return null;
        end if;
        -- an id of its own puts this transaction in order with the writers before the snapshot of the tick is taken
        perform txid_current();
        -- A row written by a transaction that its own snapshot does not know is no tick from beyond this server's ids.
        select t.tick_id,
               txid_current() - ((txid_current() - t.xmin::text::bigint) & 4294967295) >= txid_snapshot_xmax(t.tick_snapshot)
               and exists (select 1 from pgq.queue_server s where s.queue_id = t.tick_queue) as of_here
          into _newest, _of_here
          from pgq.tick t
         where t.tick_queue = _q.queue_id
         order by t.tick_queue desc, t.tick_id desc
         limit 1;
        if _newest > coalesce(_last.tick_id, 0) then
            -- made between the look and the lock; from here on nobody else makes one
            return pgq.ticker(i_queue_name);
        end if;
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
            -- This snapshot is older than the call.  A tick made since would have a lower number and a newer snapshot, and
            -- consumers would see events twice.  Each number drawn since must have been given up: for a tick that the
            -- snapshot hides, ON CONFLICT raises 40001.
            insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
                select _q.queue_id, drawn, _q.event_seq
                  from generate_series(coalesce(_last.tick_id, 0) + 1, pg_sequence_last_value(_q.queue_tick_seq::regclass)) drawn
                on conflict do nothing;
            delete from pgq.tick t where t.tick_queue = _q.queue_id and t.tick_id > coalesce(_last.tick_id, 0);
        end if;
    end if;
    if _of_here is not true then
        perform pgq._assert_same_server(_q.queue_id, i_queue_name);
    end if;
    perform pgq._flush_tick();
    insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
        values (_q.queue_id, nextval(_q.queue_tick_seq::regclass), _q.event_seq);
    return currval(_q.queue_tick_seq::regclass);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.ticker()
returns bigint as $$
-- Makes due ticks on all queues that tick by themselves.  A queue that fails is reported by a
-- warning and does not keep the others from ticking.  Queue states left unsettled by a change are settled.
--
-- Returns:
--      number of queues that ticked
-- Calls:
--      pgq.ticker(1), pgq._settle_queue_state
declare
    _queues cursor for
        select q.queue_id, q.queue_name, not q.queue_external_ticker and not q.queue_ticker_paused as ticks,
               pg_sequence_last_value(to_regclass(q.queue_data_pfx || '_state_seq'))
                   <> 2 * q.queue_cur_table + q.queue_disable_insert::int4 as unsettled
          from pgq.queue q
         order by q.queue_name;
    _q record;
    _count bigint := 0;
begin
    -- All at once, as nearly always nothing fails: a subtransaction for each queue would use up a transaction id for each tick,
    -- and more than 64 of them slow down every snapshot that is taken meanwhile.
    begin
        for _q in _queues loop
            if _q.unsettled then
                lock table pgq.tick in row exclusive mode;  -- before pgq.queue, as everybody does
                perform pgq._settle_queue_state(_q.queue_id);
            end if;
            if _q.ticks and pgq.ticker(_q.queue_name) > 0 then
                _count := _count + 1;
            end if;
        end loop;
        return _count;
    exception
        when others then
            _count := 0;  -- undone; what it is about is found out below
    end;

    for _q in _queues loop
        begin
            if _q.unsettled then
                lock table pgq.tick in row exclusive mode;  -- before pgq.queue, as everybody does
                perform pgq._settle_queue_state(_q.queue_id);
            end if;
            if _q.ticks and pgq.ticker(_q.queue_name) > 0 then
                _count := _count + 1;
            end if;
        exception
            when others then
                raise warning 'no tick on queue "%": %', _q.queue_name, sqlerrm
                    using errcode = sqlstate;
        end;
    end loop;
    return _count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
