create or replace function pgq.insert_events(
    i_queue_name text, i_types text[], i_datas text[],
    i_extra1 text[] default null, i_extra2 text[] default null,
    i_extra3 text[] default null, i_extra4 text[] default null)
returns bigint[] as $$
-- Writes many events into a queue, as part of the current transaction.
--
-- Parameters:
--      one element per event; an element may be null, and so may a whole array i_extra1..4
--
-- Returns:
--      ev_id of each event, in the order given
-- Errors:
--      arrays of different length; those of pgq.insert_event_raw.  The limit per transaction counts every event
-- Tables directly manipulated:
--      insert - pgq.event_N_M
declare
    _xid bigint := pg_catalog.txid_current();   -- before the row is read, as in pgq.insert_event_raw
    _q record;
    _ids bigint[];
    _array record;
    _count int4 := pg_catalog.cardinality(i_types);
begin
    if i_queue_name is null then
        raise exception 'Queue name must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if i_types is null or i_datas is null then
        raise exception 'i_types and i_datas must not be NULL' using errcode = 'null_value_not_allowed',
            hint = 'Elements may be NULL: array_fill(null::text, array[3]).';
    end if;
    for _array in
        select v.name, v.count
          from (values ('i_datas', pg_catalog.cardinality(i_datas)), ('i_extra1', pg_catalog.cardinality(i_extra1)),
                       ('i_extra2', pg_catalog.cardinality(i_extra2)), ('i_extra3', pg_catalog.cardinality(i_extra3)),
                       ('i_extra4', pg_catalog.cardinality(i_extra4))) v (name, count)
         where v.count <> _count
         limit 1
    loop
        raise exception '% has % elements, but i_types has %', _array.name, _array.count, _count
            using errcode = 'array_subscript_error', hint = 'Give one element per event in every array.';
    end loop;

    select q.queue_id, q.queue_data_pfx, q.queue_cur_table, q.queue_disable_insert,
           q.queue_per_tx_limit, q.queue_event_seq
      into _q
      from pgq.queue q
     where q.queue_name = i_queue_name;
    if not found then
        raise exception 'No such queue' using errcode = 'undefined_object', detail = 'Queue: ' || i_queue_name;
    end if;

    -- all writers lock this sequence first, see pgq.drop_queue
    perform pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass);
    -- drawn before anything is refused, as for single events
    _ids := array(select pg_catalog.nextval(_q.queue_event_seq::pg_catalog.regclass)
                    from pg_catalog.generate_series(1, _count));

    if pg_catalog.current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        perform pgq._assert_queue_state(i_queue_name, _q.queue_data_pfx, _q.queue_cur_table, _q.queue_disable_insert);
    end if;
    if _q.queue_disable_insert
       and pg_catalog.current_setting('session_replication_role') <> 'replica' then
        raise exception 'Insert into queue disallowed'
            using errcode = 'object_not_in_prerequisite_state', detail = 'Queue: ' || i_queue_name;
    end if;
    if _q.queue_per_tx_limit >= 0 and _count > 0 then
        perform pgq._count_tx_event(_q.queue_id, i_queue_name, _q.queue_cur_table, _q.queue_per_tx_limit, _count);
    end if;

    execute 'insert into ' || pgq.quote_fqname(_q.queue_data_pfx || '_' || _q.queue_cur_table::text)
         || ' (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
         || ' select e.ev_id, pg_catalog.now(), e.ev_type, e.ev_data, e.x1, e.x2, e.x3, e.x4'
         || ' from unnest($1, $2, $3, $4, $5, $6, $7) e (ev_id, ev_type, ev_data, x1, x2, x3, x4)'
      using _ids, i_types, i_datas, i_extra1, i_extra2, i_extra3, i_extra4;

    -- as in pgq.insert_event_raw
    if not _q.queue_disable_insert
       and pg_catalog.pg_sequence_last_value((_q.queue_data_pfx || '_state_seq')::pg_catalog.regclass) <> 2 * _q.queue_cur_table then
        perform pgq._assert_still_open(i_queue_name, _q.queue_data_pfx);
    end if;
    return _ids;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
