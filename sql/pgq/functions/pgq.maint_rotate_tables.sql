create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer as $$
-- Switches a queue to its next event table, when that is due and no reader or writer needs the table's old content.
-- docs/design/rotation.md has the rules and why they hold.  Under row security consumers would be hidden from it: it fails there.
--
-- Returns:
--      0
-- Errors:
--      queue .. maint failure; not in a READ COMMITTED transaction
-- Tables directly manipulated:
--      truncate - pgq.event_N_M, if not empty; update - pgq.queue; delete - pgq.tick
declare
    _q pgq.queue%rowtype;
    _lowest bigint;
    _oldest bigint;
    _newest bigint;
    _next integer;
    _table text;
    _used boolean;
begin
    -- In the order in which a ticker takes its locks.  Older workers lock all of pgq.tick, and then want the row of the queue.
    lock table pgq.tick in row exclusive mode;
    select * into _q
      from pgq.queue q
     where q.queue_name = i_queue_name
       and q.queue_rotation_period is not null
       and q.queue_switch_step2 is not null
       and q.queue_switch_time + q.queue_rotation_period < current_timestamp
       for update;
    if not found then
        return 0;
    end if;
    if pg_catalog.current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        -- the snapshot may hide a consumer that has registered, or gone back, since: it only locks the row
        raise exception 'pgq.maint_rotate_tables_step1 needs a READ COMMITTED transaction' using errcode = 'active_sql_transaction';
    end if;
    if pg_catalog.txid_current() < _q.queue_switch_step1 then
        raise exception 'queue % maint failure: step1=%, current=%',
            i_queue_name, _q.queue_switch_step1, pg_catalog.txid_current();
    end if;

    select min(s.sub_last_tick) into _lowest
      from pgq.subscription_key k, pgq._subscription(k.sub_queue, k.sub_consumer) s
     where k.sub_queue = _q.queue_id;
    if _lowest is null then
        -- Nobody reads, but somebody may register at once: a writer that took its table before the
        -- last switch must be done all the same.
        _oldest := pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot());
    else
        select pg_catalog.txid_snapshot_xmin(t.tick_snapshot), pg_catalog.txid_snapshot_xmax(t.tick_snapshot) into _oldest, _newest
          from pgq.tick t
         where t.tick_queue = _q.queue_id and t.tick_id = _lowest;
        if not found then
            raise exception 'queue % maint failure: tick % not found', i_queue_name, _lowest;
        end if;
        if _newest > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) then
            -- restored: no tick follows, so every step 2 would look as if all consumers were past it, and unread events went
            raise exception 'queue % maint failure: tick % is from a server that had used more transaction ids; '
                'run: skytools verify --repair, or: select pgq.rebase_transactions(%)',
                i_queue_name, _lowest, pg_catalog.quote_literal(i_queue_name);
        end if;
    end if;
    if _oldest <= _q.queue_switch_step2 then
        return 0;
    end if;

    _next := (_q.queue_cur_table + 1) % _q.queue_ntables;
    _table := pgq.quote_fqname(_q.queue_data_pfx || '_' || _next::text);
    begin
        -- never wait: whoever holds the table would make every writer wait behind us
        execute 'lock table ' || _table || ' in access exclusive mode nowait';
        -- A file without a page has nothing to remove, nobody can write to it now, and new files would cost four rows
        -- of pg_class and every session's plans.  Only age is a reason: tables of events never need a vacuum.
        select pg_catalog.pg_relation_size(c.oid) > 0
               or pg_catalog.age(c.relfrozenxid) > pg_catalog.current_setting('vacuum_freeze_min_age')::int4
          into _used
          from pg_catalog.pg_class c
         where c.oid = _table::pg_catalog.regclass::pg_catalog.oid;
        if _used then
            execute 'truncate ' || _table;
        end if;
    exception
        when lock_not_available then
            return 0;
    end;

    update pgq.queue
       set queue_cur_table = _next,
           queue_switch_time = current_timestamp,
           queue_switch_step1 = pg_catalog.txid_current(),
           queue_switch_step2 = null
     where queue_id = _q.queue_id;

    delete from pgq.tick
     where tick_queue = _q.queue_id
       and pg_catalog.txid_snapshot_xmin(tick_snapshot) < _q.queue_switch_step2;
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set row_security = off;

create or replace function pgq.maint_rotate_tables_step2()
returns integer as $$
-- Notes, for every switched queue, a transaction id above that of every writer which may have missed the switch.
-- Runs in a later transaction than step 1.
--
-- The id is that of a subtransaction: it is assigned after the row is locked and its newest version read, hence after the
-- switch was committed.  The id of the whole transaction proves nothing: it may have been assigned long before, and even one
-- that is asked for here can be older than the switch, which may be committed while this call waits for a lock.
-- In REPEATABLE READ a switch that the snapshot does not show is left for the next call.
--
-- Returns:
--      0
-- Errors:
--      serialization_failure, when not in READ COMMITTED
-- Tables directly manipulated:
--      update - pgq.queue
declare
    _q record;
    _main bigint;
    _sub bigint;
begin
    for _q in
        select q.queue_id
          from pgq.queue q
         where q.queue_switch_step2 is null
           -- switched by this very transaction: not committed yet.  Who has no id has switched nothing, and none is used up.
           and q.queue_switch_step1 is distinct from txid_current_if_assigned()
         order by q.queue_id
           for no key update
    loop
        _main := txid_current();
        begin
            -- A subtransaction gets its id at its first write; the upper half is that of the main one, plus a carry.
            update pgq.queue set queue_switch_step2 = _main where queue_id = _q.queue_id
                returning xmin::text::bigint into _sub;
            _sub := (_main >> 32 << 32) + _sub;
            if _sub < _main then
                _sub := _sub + 4294967296;
            end if;
            update pgq.queue set queue_switch_step2 = _sub where queue_id = _q.queue_id;
        exception
            when raise_exception then
                raise;  -- the handler is here for its subtransaction
        end;
        perform pgq._settle_queue_state(_q.queue_id);
    end loop;
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
