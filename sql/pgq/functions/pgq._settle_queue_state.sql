create or replace function pgq._settle_queue_state(i_queue_id int4)
returns boolean as $$
-- Puts the committed state of a queue into its state sequence.
--
-- Works under the row lock that every change holds until its end, so it never settles on a value
-- that is being changed; a row locked by somebody else is left for the next call.  An old snapshot
-- could hide a committed change, therefore nothing is done outside of READ COMMITTED.
--
-- Returns:
--      true when the sequence now shows the committed state
-- Tables directly manipulated:
--      lock - pgq.queue, setval - pgq.event_N_state_seq
declare
    _q record;
begin
    if pg_catalog.current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        return false;
    end if;
    select q.queue_data_pfx || '_state_seq' as seq,
           2 * q.queue_cur_table + q.queue_disable_insert::int4 as state
      into _q
      from pgq.queue q
     where q.queue_id = i_queue_id
       for no key update skip locked;
    if not found then
        return false;
    end if;
    -- a change of this very transaction is not committed yet
    if pg_catalog.pg_sequence_last_value(_q.seq::pg_catalog.regclass)
       = 2305843009213693952 + pg_catalog.txid_current() then
        return false;
    end if;
    perform pg_catalog.setval(_q.seq::pg_catalog.regclass, _q.state);
    return true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
