create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text as $$
-- Writes the query that reads the events of an open batch: those whose transaction was not visible at the
-- last tick and is visible at the next one.
--
-- The range of transaction ids begins at xmax of the last tick, not at its xmin: with a long transaction open, every batch would
-- scan everything written since it began.  Transactions that were open at the last tick and are finished at the
-- next one are few: those just below the range extend it downwards, the others are named one by one.
--
-- The snapshots are constants of the query, and looked at only where the numbers alone do not decide: below xmin everything
-- is visible, from xmax on nothing.  Joining the two ticks instead would copy both snapshots for every event,
-- which was a quarter of the time of reading a large batch.
--
-- Returns:
--      text of a query with the columns ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1..4,
--      ending in " order by 1"; good until the next rotation
-- Errors:
--      batch not found; could not construct sql for batch; row security is enabled on event table
-- Tables read:
--      pgq.subscription, pgq.tick
declare
    _b record;
    _id bigint;
    _named text[] := '{}';
    _from bigint;
    _table text;
    _columns constant text :=
        'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from ';
    _owner text;
    _visible text;
    _pieces text[] := '{}';
begin
    select s.sub_id, s.sub_queue, s.sub_last_tick, s.sub_next_tick,
           l.tick_snapshot as last_snapshot, n.tick_snapshot as next_snapshot
      into _b
      from pgq._batch(x_batch_id) s
           -- limit 1: statistics that are old must not turn the look-up of a tick into a scan of them all
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick limit 1) l on true
           join lateral (select * from pgq.tick t where t.tick_queue = s.sub_queue and t.tick_id = s.sub_next_tick limit 1) n on true;
    if not found then
        raise exception 'batch not found';
    end if;

    _from := txid_snapshot_xmax(_b.last_snapshot);
    for _id in
        select xip from txid_snapshot_xip(_b.last_snapshot) xip
        except
        select xip from txid_snapshot_xip(_b.next_snapshot) xip
        order by 1 desc
    loop
        if _id >= _from - 100 then
            _from := _id;
        else
            _named := _named || _id::text;
        end if;
    end loop;

    _owner := ' and (ev_owner is null or ev_owner = ' || _b.sub_id::text || ')';
    _visible := ' and (ev.ev_txid < ' || txid_snapshot_xmin(_b.next_snapshot)::text
        || ' or pg_catalog.txid_visible_in_snapshot(ev.ev_txid, '
        || quote_literal(_b.next_snapshot::text) || '::pg_catalog.txid_snapshot))';
    if _from < txid_snapshot_xmax(_b.last_snapshot) then
        _visible := _visible || ' and (ev.ev_txid >= ' || txid_snapshot_xmax(_b.last_snapshot)::text
            || ' or not pg_catalog.txid_visible_in_snapshot(ev.ev_txid, '
            || quote_literal(_b.last_snapshot::text) || '::pg_catalog.txid_snapshot))';
    end if;
    for _table in select pgq.quote_fqname(t) from pgq.batch_event_tables(x_batch_id) t loop
        if row_security_active(_table) then
            -- the query would hide events from who runs it, and the batch would be finished without them
            raise exception 'row security is enabled on event table %: role "%" would not see its events', _table, current_user
                using errcode = 'insufficient_privilege',
                      hint = format('Let the owner of pgq run: alter table %s disable row level security, no force row level security;', _table);
        end if;
        _pieces := _pieces || (
            _columns || _table || ' ev where ev.ev_txid >= ' || _from::text
            || ' and ev.ev_txid <= ' || txid_snapshot_xmax(_b.next_snapshot)::text
            || _visible
            || _owner);
        if _named <> '{}' then
            _pieces := _pieces || (
                _columns || _table || ' ev where ev.ev_txid in (' || array_to_string(_named, ',') || ')' || _owner);
        end if;
    end loop;
    if _pieces = '{}' then
        raise exception 'could not construct sql for batch %', x_batch_id;
    end if;
    return array_to_string(_pieces, ' union all ') || ' order by 1';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
