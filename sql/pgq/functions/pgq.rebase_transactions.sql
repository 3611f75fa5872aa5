create or replace function pgq._newest_transaction(i_queue pgq.queue)
returns bigint as $$
-- The highest transaction id that rotation, ticks and events of a queue mention.  Stable: as the caller's snapshot shows them,
-- with which the result is compared.
declare
    _newest bigint;
    _in_table bigint;
    _table text;
begin
    _newest := greatest(i_queue.queue_switch_step1, i_queue.queue_switch_step2,
        (select max(txid_snapshot_xmax(t.tick_snapshot)) - 1 from pgq.tick t where t.tick_queue = i_queue.queue_id));
    for _n in 0 .. i_queue.queue_ntables - 1 loop
        _table := pgq.quote_fqname(i_queue.queue_data_pfx || '_' || _n::text);
        if to_regclass(_table) is not null then
            execute format('select max(ev_txid) from %s', _table) into _in_table;
            _newest := greatest(_newest, _in_table);
        end if;
    end loop;
    return _newest;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;
revoke all on function pgq._newest_transaction(pgq.queue) from public;

create or replace function pgq.rebase_transactions(i_queue_name text default null)
returns integer as $$
-- Gives ticks and events of a restored queue transaction ids of this server: docs/restore.md.
--
-- Transaction ids are those of the server that wrote them.  On a server that has not come as far, an event written now has a
-- lower id than the last tick and would count as seen; the ticker refuses to work then.  Only what the ids decide
-- matters: between which ticks each event lies, and which event tables a batch reads.  So each tick gets a number, its
-- events the one before, and all numbers lie below every transaction that runs now.
--
-- Events that were written after the restore are told by their number: it is above that of the last tick.  Where the server has come past the ids
-- of the dump since, events from before may have such an id, too, and the row tells (pgq._written_behind).
--
-- Parameters:
--      null for all queues that mention ids from beyond this server's, or have events from when they did
--
-- Returns:
--      number of queues changed
-- Errors:
--      too few transaction ids used so far; ticks made after the restore; not under READ COMMITTED
-- Tables directly manipulated:
--      lock, update - pgq.queue, pgq.tick, pgq.event_N_M, insert/update - pgq.queue_server
declare
    _q pgq.queue%rowtype;
    _t record;
    _count int4 := 0;
    _limit bigint;
    _base bigint;
    _ticks bigint;
    _last_event bigint;
    _ahead boolean;
    _born bigint;
    _seen_below bigint;
    _step1 bigint;
    _step2 bigint;
    _published name[];
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'pgq.rebase_transactions needs a READ COMMITTED transaction' using errcode = 'active_sql_transaction';
    end if;
    -- no tick, no rotation; then, table by table, no writer
    lock table pgq.tick, pgq.queue in exclusive mode;
    for _q in
        select * from pgq.queue q where i_queue_name is null or q.queue_name = i_queue_name order by q.queue_id
    loop
        _ahead := pgq._newest_transaction(_q) >= txid_snapshot_xmax(txid_current_snapshot());
        continue when not _ahead and not pgq._written_behind(_q.queue_id);
        for _n in 0 .. _q.queue_ntables - 1 loop
            execute format('lock table only %s in exclusive mode', pgq.quote_fqname(_q.queue_data_pfx || '_' || _n::text));
        end loop;

        if exists (select 1
                     from (select txid_snapshot_xmax(t.tick_snapshot) as xmax,
                                  lag(txid_snapshot_xmax(t.tick_snapshot)) over (order by t.tick_id) as xmax_before
                             from pgq.tick t where t.tick_queue = _q.queue_id) s
                    where s.xmax < s.xmax_before)
        then
            raise exception 'queue "%" has ticks from before and after a restore', _q.queue_name
                using errcode = 'object_not_in_prerequisite_state',
                      hint = 'Consumers beyond the last tick of before may have missed events: docs/restore.md.';
        end if;
        -- a tick before the first event has 1, and so has that event
        select count(*), case when max(t.tick_event_seq) > 1 then max(t.tick_event_seq) else 0 end into _ticks, _last_event from pgq.tick t where t.tick_queue = _q.queue_id;
        _born := null;
        if not _ahead then
            select t.xmin::text::bigint into _born from pgq.tick t where t.tick_queue = _q.queue_id order by t.tick_id desc limit 1;
        end if;
        _limit := txid_snapshot_xmin(txid_current_snapshot());
        _base := _limit - _ticks - 3;
        if _base < 1 then
            raise exception 'queue "%" has more ticks than this server has used transaction ids', _q.queue_name
                using errcode = 'object_not_in_prerequisite_state',
                      hint = format('Use up %s of them first, in transactions of their own: skytools verify --repair does.', 1 - _base);
        end if;

        -- the order of comparisons in pgq.batch_event_tables is kept
        select _base + 2 + count(*) filter (where txid_snapshot_xmax(t.tick_snapshot) < _q.queue_switch_step1),
               _base + 1 + count(*) filter (where txid_snapshot_xmin(t.tick_snapshot) <= _q.queue_switch_step2)
          into _step1, _step2
          from pgq.tick t where t.tick_queue = _q.queue_id;

        -- Published tables are updated only where rows can be told at the subscriber; these have nothing else to tell them by.
        select array_agg(c.relname) into _published
          from generate_series(0, _q.queue_ntables - 1) n
               join pg_class c on c.oid = to_regclass(_q.queue_data_pfx || '_' || n)
         where c.relreplident = 'd' and exists (select 1 from pg_publication_tables p where p.schemaname = 'pgq' and p.tablename = c.relname);
        for _n in 1 .. coalesce(cardinality(_published), 0) loop
            execute format('alter table only pgq.%I replica identity full', _published[_n]);
        end loop;
        for _n in 0 .. _q.queue_ntables - 1 loop
            -- Negative while under way: a number given here must not be taken for one that was there.
            _seen_below := 0;
            for _t in
                select row_number() over (order by t.tick_id) as nr, t.tick_snapshot
                  from pgq.tick t where t.tick_queue = _q.queue_id order by t.tick_id
            loop
                execute format(
                    'update only %s set ev_txid = -$1 where ev_txid >= $2 and ev_txid > 0 and ev_txid < $3'
                    ' and txid_visible_in_snapshot(ev_txid, $4) and not (ev_id > $5 and ev_txid < $6 and coalesce(((xmin::text::bigint - $7) & 4294967295) between 1 and 2147483647, true))',
                    pgq.quote_fqname(_q.queue_data_pfx || '_' || _n::text))
                    using _base + _t.nr, _seen_below, txid_snapshot_xmax(_t.tick_snapshot), _t.tick_snapshot, _last_event,
                          txid_snapshot_xmax(txid_current_snapshot()), _born;
                _seen_below := txid_snapshot_xmin(_t.tick_snapshot);
            end loop;
            execute format('update only %s set ev_txid = case when ev_txid < 0 then -ev_txid else $1 end',
                           pgq.quote_fqname(_q.queue_data_pfx || '_' || _n::text))
                using _base + _ticks + 1;
        end loop;

        for _n in 1 .. coalesce(cardinality(_published), 0) loop
            execute format('alter table only pgq.%I replica identity default', _published[_n]);
        end loop;

        update pgq.tick t
           set tick_snapshot = format('%s:%s:', s.id, s.id)::txid_snapshot
          from (select u.tick_id, _base + 1 + row_number() over (order by u.tick_id) as id
                  from pgq.tick u where u.tick_queue = _q.queue_id) s
         where t.tick_queue = _q.queue_id and t.tick_id = s.tick_id;
        update pgq.queue
           set queue_switch_step1 = _step1,
               queue_switch_step2 = case when queue_switch_step2 is not null then _step2 end
         where queue_id = _q.queue_id;
        insert into pgq.queue_server (queue_id, server) values (_q.queue_id, pgq._server())
            on conflict (queue_id) do update set server = excluded.server;
        _count := _count + 1;
    end loop;
    return _count;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
revoke all on function pgq.rebase_transactions(text) from public;
