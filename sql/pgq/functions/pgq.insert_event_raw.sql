create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz,
    ev_owner integer, ev_retry integer, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns int8 as $$
-- Writes one event with every field given.
--
-- Parameters:
--      ev_id       - null: next number of the queue.  The number is drawn in every case, so the ticker notices
--      ev_time     - null: now
--      ev_owner    - sub_id of the only consumer to see it, null for all.  Such an event comes again: the limit per
--                    transaction, which had counted it, does not count it once more
--
-- Returns:
--      ev_id of the event
-- Errors:
--      Queue name must not be NULL; No such queue; Insert into queue disallowed; limit per transaction;
--      serialization_failure (pgq._assert_queue_state)
-- Tables directly manipulated:
--      insert - pgq.event_N_M
#variable_conflict use_column
declare
    _q record;
    _seq bigint;
    _id bigint := $2;
begin
    if $1 is null then
        raise exception 'Queue name must not be NULL' using errcode = 'null_value_not_allowed';
    end if;

    -- The transaction needs its id before the row of the queue is read: step 2 of a rotation can then
    -- tell who may still write to the previous table.
    perform pg_catalog.txid_current();

    select q.queue_id, q.queue_data_pfx, q.queue_cur_table, q.queue_disable_insert,
           q.queue_per_tx_limit, q.queue_event_seq
      into _q
      from pgq.queue q
     where q.queue_name = $1;
    if not found then
        raise exception 'No such queue' using errcode = 'undefined_object', detail = 'Queue: ' || $1;
    end if;

    -- all writers lock this sequence first, see pgq.drop_queue
    perform pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass);
    _seq := pg_catalog.nextval(_q.queue_event_seq::pg_catalog.regclass);

    if pg_catalog.current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform pgq._assert_queue_state($1, _q.queue_data_pfx, _q.queue_cur_table, _q.queue_disable_insert);
    end if;
    if _q.queue_disable_insert
       and pg_catalog.current_setting('session_replication_role') <> 'replica' then
        raise exception 'Insert into queue disallowed'
            using errcode = 'object_not_in_prerequisite_state', detail = 'Queue: ' || $1;
    end if;
    if _q.queue_per_tx_limit >= 0 and $4 is null then
        perform pgq._count_tx_event(_q.queue_id, $1, _q.queue_cur_table, _q.queue_per_tx_limit);
    end if;

    if _id is null then
        _id := _seq;
    end if;
    execute 'insert into ' || pgq.quote_fqname(_q.queue_data_pfx || '_' || _q.queue_cur_table::text)
         || ' (ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
         || ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)'
      using _id, coalesce($3, pg_catalog.now()), $4, $5, $6, $7, $8, $9, $10, $11;

    -- "open" was read before this transaction held a lock on the table: a takeover may have closed the queue in between
    if not _q.queue_disable_insert
       and pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass) <> 2 * _q.queue_cur_table then
        perform pgq._assert_still_open($1, _q.queue_data_pfx);
    end if;
    return _id;
end;
$$ language plpgsql;
