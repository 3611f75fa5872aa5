create or replace function pgq._queue_state_changed()
returns trigger as $$
-- Row trigger on pgq.queue: tells writers with an old snapshot that what they see may be outdated.
--
-- A change of the current table or of queue_disable_insert puts a mark with the changer's
-- transaction id into the state sequence, at once and not undone by a rollback.  While the mark is there, REPEATABLE
-- READ and SERIALIZABLE writers of other transactions are refused.  pgq._settle_queue_state()
-- replaces it with the committed state.  docs/design/rotation.md explains why.
--
-- Names of event tables and sequences become part of SQL that the owner of PgQ runs, and whoever owns what they name would have
-- its triggers run.  So they are plain names in schema pgq, where nobody else creates anything.
--
-- Errors:
--      check_violation: other names
-- Tables directly manipulated:
--      create/setval - pgq.event_N_state_seq
declare
    _seq text := new.queue_data_pfx || '_state_seq';
    _name text;
begin
    if tg_op = 'INSERT'
       or (old.queue_data_pfx, old.queue_event_seq, old.queue_tick_seq) is distinct from (new.queue_data_pfx, new.queue_event_seq, new.queue_tick_seq)
    then
        select n into _name
          from unnest(array[new.queue_data_pfx, new.queue_event_seq, new.queue_tick_seq]) n
         where n !~ '^pgq[.][a-z_][a-z0-9_]*$';
        if found then
            raise exception 'queue "%": "%" is no name of a queue''s table or sequence', new.queue_name, _name
                using errcode = 'check_violation', hint = 'Names are pgq. and small letters, digits and underscores: pgq.event_1.';
        end if;
    end if;
    if tg_op = 'INSERT' then
        if pg_catalog.to_regclass(_seq) is null then
            execute pg_catalog.format('create sequence %s minvalue 0', pgq.quote_fqname(_seq));
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
