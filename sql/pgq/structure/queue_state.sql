-- The state of each queue outside of any snapshot: see docs/design/rotation.md.
--
-- The trigger comes first: creating it waits for every open change of pgq.queue, so the sequences
-- made for queues of an older installation start from settled rows.
do $state$
declare
    _q record;
begin
    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'pgq.queue'::pg_catalog.regclass
                      and tgname = 'queue_state_trigger') then
        create trigger queue_state_trigger
            before insert or update on pgq.queue
            for each row execute function pgq._queue_state_changed();
        -- takeover changes queues under session_replication_role = replica
        alter table pgq.queue enable always trigger queue_state_trigger;
    end if;

    for _q in select * from pgq.queue order by queue_id loop
        if pg_catalog.to_regclass(_q.queue_data_pfx || '_state_seq') is null then
            execute pg_catalog.format('create sequence %s minvalue 0', pgq.quote_fqname(_q.queue_data_pfx || '_state_seq'));
            perform pg_catalog.setval(_q.queue_data_pfx || '_state_seq',
                                      2 * _q.queue_cur_table + _q.queue_disable_insert::int4);
            execute pg_catalog.format('grant select on sequence %s to public', pgq.quote_fqname(_q.queue_data_pfx || '_state_seq'));
        end if;
    end loop;

    -- What the generated code does not follow by itself; current table and queue_disable_insert it does.
    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'pgq.queue'::pg_catalog.regclass
                      and tgname = 'queue_code_trigger') then
        create trigger queue_code_trigger
            after update on pgq.queue
            for each row
            when (row (old.queue_name, old.queue_ntables, old.queue_per_tx_limit, old.queue_data_pfx, old.queue_event_seq)
                  is distinct from
                  row (new.queue_name, new.queue_ntables, new.queue_per_tx_limit, new.queue_data_pfx, new.queue_event_seq))
            execute function pgq._queue_code_changed();
        alter table pgq.queue enable always trigger queue_code_trigger;
    end if;
    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'pgq.queue'::pg_catalog.regclass
                      and tgname = 'queue_code_delete_trigger') then
        create trigger queue_code_delete_trigger
            after delete on pgq.queue
            for each row execute function pgq._queue_code_changed();
        alter table pgq.queue enable always trigger queue_code_delete_trigger;
    end if;

    perform pgq.refresh_queue_code();
end;
$state$;
