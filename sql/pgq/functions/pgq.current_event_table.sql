create or replace function pgq.current_event_table(x_queue_name text)
returns text as $$
-- Names the table that takes events of this transaction, for bulk loading with INSERT or COPY.
-- Valid until the end of the transaction only.
--
-- Returns:
--      schema.table
-- Errors:
--      Event queue not found; Writing to queue disabled; serialization_failure (pgq._assert_queue_state, _assert_still_open)
declare
    _q record;
    _table text;
begin
    -- before the row is read, for the same reason as in pgq.insert_event_raw
    perform pg_catalog.txid_current();

    select q.queue_data_pfx, q.queue_cur_table, q.queue_disable_insert into _q
      from pgq.queue q
     where q.queue_name = x_queue_name;
    if not found then
        raise exception 'Event queue not found';
    end if;
    if pg_catalog.current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform pgq._assert_queue_state(x_queue_name, _q.queue_data_pfx, _q.queue_cur_table, _q.queue_disable_insert);
    end if;
    if _q.queue_disable_insert
       and pg_catalog.current_setting('session_replication_role') <> 'replica' then
        raise exception 'Writing to queue disabled';
    end if;
    _table := _q.queue_data_pfx || '_' || _q.queue_cur_table::text;
    if not _q.queue_disable_insert and pg_catalog.has_table_privilege(_table, 'insert') then
        -- A takeover closes the queue, then waits for those who hold this lock: either it waits for this transaction, or
        -- the queue is seen closed now.  Who may not insert needs no lock, and may not have it.
        -- all writers lock this sequence first, see pgq.drop_queue
        perform pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass);
        execute 'lock table only ' || pgq.quote_fqname(_table) || ' in row exclusive mode';
        if pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass) <> 2 * _q.queue_cur_table then
            perform pgq._assert_still_open(x_queue_name, _q.queue_data_pfx);
        end if;
    end if;
    return _table;
end;
$$ language plpgsql;
