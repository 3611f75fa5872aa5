create or replace function pgq._assert_still_open(i_queue_name text, i_data_pfx text)
returns void as $$
-- Refuses an event that is inserted after the queue had been closed, when its state is not what it was before.  To be called
-- while the INSERT holds the lock of its table, or after it.
--
-- A takeover closes the queue (queue_disable_insert), then locks the event tables against writers and makes the last tick.
-- A writer may have read "open" before and inserted after: behind the last tick.  It holds the lock of its INSERT now, so what
-- is not closed at this moment cannot be locked before the writer has ended.
--
-- Errors:
--      serialization_failure (40001)
declare
    _now bigint := pg_catalog.pg_sequence_last_value((i_data_pfx || '_state_seq')::pg_catalog.regclass);
    _disabled boolean;
begin
    if _now = 2305843009213693952 + pg_catalog.txid_current()      -- this transaction's own change
       or pg_catalog.current_setting('session_replication_role') = 'replica' then
        return;
    end if;
    if _now < 2305843009213693952 then
        _disabled := _now % 2 = 1;
    elsif pg_catalog.current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
        -- a change is under way: what is not committed yet will wait for this writer
        select q.queue_disable_insert into _disabled from pgq.queue q where q.queue_name = i_queue_name;
    else
        _disabled := true;
    end if;
    if coalesce(_disabled, true) then
        raise exception 'queue "%" was closed while the event was written', i_queue_name
            using errcode = 'serialization_failure', hint = 'Run the transaction again.';
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._still_open(i_id int8, i_queue_name text, i_data_pfx text)
returns int8 as $$
-- pgq._assert_still_open for the place of a value in an INSERT: returns i_id.
begin
    perform pgq._assert_still_open(i_queue_name, i_data_pfx);
    return i_id;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_event(
    i_queue text, i_number int8, i_type text, i_data text, i_extra1 text, i_extra2 text)
returns void as $$
-- Writes an event of generated capture that is not the usual one, or whose code has no table for the state of the queue.
--
-- Parameters:
--      i_number    - where it has been drawn; null: the next
begin
    perform pgq._insert_tree_0(i_queue, now(), i_type, i_data, i_extra1, i_extra2, null, null, i_number);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
