create or replace function pgq._queue_state_changed()
returns trigger as $$
-- Row trigger on pgq.queue: tells writers with an old snapshot that what they see may be outdated.
--
-- A change of the current table or of queue_disable_insert puts a mark with the changer's
-- transaction id into the state sequence, at once and not undone by a rollback.  While the mark is there, REPEATABLE
-- READ and SERIALIZABLE writers of other transactions are refused.  pgq._settle_queue_state()
-- replaces it with the committed state.  docs/design/rotation.md explains why.
--
-- Tables directly manipulated:
--      create/setval - pgq.event_N_state_seq
declare
    _seq text := new.queue_data_pfx || '_state_seq';
begin
    if tg_op = 'INSERT' then
        if pg_catalog.to_regclass(_seq) is null then
            execute pg_catalog.format('create sequence %s minvalue 0', _seq);
        end if;
        perform pg_catalog.setval(_seq, 2 * new.queue_cur_table + new.queue_disable_insert::int4);
    elsif new.queue_cur_table <> old.queue_cur_table
       or new.queue_disable_insert <> old.queue_disable_insert
    then
        -- 2^61 keeps marks apart from states
        perform pg_catalog.setval(_seq, 2305843009213693952 + pg_catalog.txid_current());
    end if;
    return new;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
