create or replace function pgq._server()
returns text as $$
-- Names this server and this installation: what a dump carries elsewhere is not equal there.
--
-- The system identifier alone is the same in servers that were copied as files, and then went apart; the OID of a table alone may be the
-- same in servers that were filled in the same way.  Without the right to ask for the identifier, the OID has to do.
declare
    _system bigint := 0;
begin
    if has_function_privilege('pg_control_system()', 'execute') then
        _system := (select c.system_identifier from pg_control_system() c);
    end if;
    return _system || ':' || 'pgq.tick'::regclass::oid;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._written_behind(i_queue_id int4)
returns boolean as $$
-- Whether a restored queue has events that were written here while this server had used fewer transaction ids than the newest tick,
-- which therefore counts them as seen.  They stay so when the server has come past that tick: docs/restore.md.
--
-- Asks nothing of a queue that has ticked here.  Otherwise such an event is told from those that were restored by the transaction which
-- wrote its row: it came after the one that wrote the row of the tick.  The number alone does not tell: one that was
-- drawn, and committed, between the look at the sequence and the snapshot of a tick is above tick_event_seq, too.
-- A row has the lower half of an id.
--
-- Tables read:
--      pgq.queue_server, pgq.tick, pgq.event_N_M
declare
    _last record;
    _born bigint;
    _found boolean;
begin
    if exists (select 1 from pgq.queue_server s where s.queue_id = i_queue_id and s.server = pgq._server()) then
        return false;
    end if;
    select pgq.quote_fqname(q.queue_data_pfx) as events, t.tick_snapshot, t.born, t.born_before,
           -- a tick before the first event has 1, and so has that event
           case when t.tick_event_seq > 1 then t.tick_event_seq else 0 end as event_seq
      into _last
      from pgq.queue q
           join lateral (
                select n.tick_snapshot, n.tick_event_seq, n.xmin as born,
                       (select p.xmin from pgq.tick p where p.tick_queue = q.queue_id and p.tick_id < n.tick_id
                         order by p.tick_queue desc, p.tick_id desc limit 1) as born_before
                  from pgq.tick n
                 where n.tick_queue = q.queue_id
                 order by n.tick_queue desc, n.tick_id desc
                 limit 1) t on true
     where q.queue_id = i_queue_id;
    if not found then
        return false;
    end if;
    -- Restored when the server had come as far: nothing written since is seen by the tick.  Or never restored, as after pg_upgrade, which keeps
    -- ids and changes the name of the server: a tick is made by a transaction that is open in its snapshot, which alone would leave
    -- doubt; but ticks are made one by one, and restored all at once.
    _born := txid_current() - ((txid_current() - _last.born::text::bigint) & 4294967295);
    if _born >= txid_snapshot_xmax(_last.tick_snapshot)
       or _born >= txid_snapshot_xmin(_last.tick_snapshot) and _last.born is distinct from _last.born_before
    then
        return false;
    end if;
    execute format('select exists (select 1 from %s where ev_txid < $1 and ev_id > $2 '
                   ' and ((xmin::text::bigint - $3) & 4294967295) between 1 and 2147483647'
                   ' and txid_visible_in_snapshot(ev_txid, $4))', _last.events)
       into _found
      using txid_snapshot_xmax(_last.tick_snapshot), _last.event_seq, _last.born::text::bigint, _last.tick_snapshot;
    return _found;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._settle_server(i_queue_id int4)
returns boolean as $$
-- Notes that a queue ticks on this server, where it may.  For who is about to make a tick.
--
-- Returns:
--      false: it must not (pgq._written_behind)
-- Tables directly manipulated:
--      insert/update - pgq.queue_server
begin
    if exists (select 1 from pgq.queue_server s where s.queue_id = i_queue_id and s.server = pgq._server()) then
        return true;
    end if;
    if pgq._written_behind(i_queue_id) then
        return false;
    end if;
    insert into pgq.queue_server (queue_id, server) values (i_queue_id, pgq._server())
        on conflict (queue_id) do update set server = excluded.server;
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._assert_same_server(i_queue_id int4, i_queue_name text)
returns void as $$
-- Refuses a tick behind one that is from a server which had used more transaction ids, when that would pass over events.
--
-- Errors:
--      Invalid PgQ state, in one line: the ticker of all queues passes on nothing else
declare
    _xmin bigint;
    _xmax bigint;
    _events text;
begin
    select txid_snapshot_xmin(t.tick_snapshot), txid_snapshot_xmax(t.tick_snapshot) into _xmin, _xmax
      from pgq.tick t
     where t.tick_queue = i_queue_id
     order by t.tick_queue desc, t.tick_id desc
     limit 1;
    -- this transaction may have got its id before the tick was made
    if _xmax > greatest(txid_current(), txid_snapshot_xmax(txid_current_snapshot())) then
        _events := 'written now would';
    elsif not pgq._settle_server(i_queue_id) then
        _events := 'written before this one had used as many would';
    else
        return;
    end if;
    raise exception 'Invalid PgQ state: old xmin=%, old xmax=%, cur txid=%; the last tick of queue "%" is from a server '
        'that had used more transaction ids, as after restoring a dump, and events % count as seen; '
        'run: skytools verify --repair, or: select pgq.rebase_transactions(%)',
        _xmin, _xmax, txid_current(), i_queue_name, _events, quote_literal(i_queue_name);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
