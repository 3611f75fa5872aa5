create or replace function pgq._assert_queue_state(
    i_queue_name text, i_data_pfx text, i_cur_table int4, i_disable_insert boolean)
returns void as $$
-- Refuses a writer whose snapshot shows an outdated state of the queue.
--
-- To be called after the transaction has its id, by REPEATABLE READ and SERIALIZABLE writers only:
-- the others read the row with a new snapshot anyway.
--
-- Parameters:
--      what the caller's snapshot shows of the queue
-- Errors:
--      serialization_failure (40001)
declare
    _now bigint := pg_catalog.pg_sequence_last_value((i_data_pfx || '_state_seq')::pg_catalog.regclass);
begin
    if _now = 2 * i_cur_table + i_disable_insert::int4
       or _now = 2305843009213693952 + pg_catalog.txid_current()   -- this transaction's own change
    then
        return;
    end if;
    raise exception 'queue "%" was changed after the snapshot of this transaction was taken', i_queue_name
        using errcode = 'serialization_failure',
              detail = 'Its current event table or its permission to insert may differ from what the transaction sees; '
                       'an event written now could be lost.',
              hint = 'Run the transaction again.';
end;
$$ language plpgsql;
