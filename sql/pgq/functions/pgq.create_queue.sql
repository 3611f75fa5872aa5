create or replace function pgq.create_queue(i_queue_name text)
returns integer as $$
-- Creates a queue: its row, event tables and sequences, and its first tick.
--
-- Returns:
--      1 created, 0 exists already
-- Errors:
--      Invalid NULL value; empty name; unique_violation when created at the same time elsewhere
-- Calls:
--      pgq.grant_perms, pgq.ticker, pgq.tune_storage, pgq.refresh_queue_code
-- Tables directly manipulated:
--      insert - pgq.queue, create - pgq.event_N*
declare
    _id integer;
    _pfx text;
    _table text;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value';
    end if;
    if i_queue_name = '' then
        raise exception 'queue name must not be empty' using errcode = 'invalid_name';
    end if;
    if exists (select 1 from pgq.queue where queue_name = i_queue_name) then
        return 0;
    end if;

    lock table pgq.tick in row exclusive mode;  -- before pgq.queue, as everybody does
    _id := pg_catalog.nextval('pgq.queue_queue_id_seq');
    _pfx := 'pgq.event_' || _id::text;
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq, queue_extra_maint)
        values (_id, i_queue_name, _pfx, _pfx || '_id_seq', _pfx || '_tick_seq', null);

    execute pg_catalog.format('create sequence %s_id_seq', _pfx);
    execute pg_catalog.format('create sequence %s_tick_seq', _pfx);
    execute pg_catalog.format('create table %s () inherits (pgq.event_template)', _pfx);
    for _n in 0 .. (select queue_ntables from pgq.queue where queue_id = _id) - 1 loop
        _table := _pfx || '_' || _n::text;
        execute pg_catalog.format('create table %s () inherits (%s)', _table, _pfx);
        execute pg_catalog.format('alter table %s alter column ev_id set default pg_catalog.nextval(%L)',
                                  _table, _pfx || '_id_seq');
        execute pg_catalog.format('create index event_%s_%s_txid_idx on %s (ev_txid)', _id, _n, _table);
    end loop;

    perform pgq.grant_perms(i_queue_name);
    perform pgq.ticker(i_queue_name);
    perform pgq.tune_storage(i_queue_name);
    perform pgq.refresh_queue_code(i_queue_name);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
