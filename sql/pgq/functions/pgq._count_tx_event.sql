create or replace function pgq._count_tx_event(
    i_queue_id int4, i_queue_name text, i_cur_table int4, i_limit int4, i_count int4 default 1)
returns void as $$
-- Counts events of the current transaction on a queue that limits them.
--
-- The counter is a transaction-local setting, so events undone by ROLLBACK TO SAVEPOINT are not counted.
--
-- Errors:
--      PQ001: Queue '..' allows max .. events from one TX.  A code of its own: generated capture takes those of
--      class 54 for a row that cannot be written as text
declare
    _name text := 'pgq.tx_events_' || i_queue_id::text;
    _key text := pg_catalog.txid_current()::text || ':' || i_cur_table::text;
    _old text := pg_catalog.current_setting(_name, true);
    _count int8 := i_count;
begin
    if pg_catalog.split_part(_old, '/', 1) = _key then
        _count := pg_catalog.split_part(_old, '/', 2)::int8 + i_count;
    end if;
    if _count > i_limit then
        raise exception 'Queue ''%'' allows max % events from one TX', i_queue_name, i_limit
            using errcode = 'PQ001';
    end if;
    perform pg_catalog.set_config(_name, _key || '/' || _count::text, true);
end;
$$ language plpgsql;
