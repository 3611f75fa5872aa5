-- ----------------------------------------------------------------------
-- Rights on schema pgq_ext: all of it for pgq_writer, where that role exists, and
-- nothing but version() for PUBLIC.  Functions that somebody else put into the schema are left alone.
-- ----------------------------------------------------------------------
do $grants$
declare
    f record;
    writer constant boolean = exists (select 1 from pg_catalog.pg_roles where rolname = 'pgq_writer');
begin
    for f in
        select p.oid::regprocedure as fn, p.proname
          from pg_catalog.pg_proc p
         where p.pronamespace = 'pgq_ext'::regnamespace
           and p.proname in ('version', 'upgrade_schema', 'get_last_tick', 'set_last_tick', 'is_batch_done',
                             'set_batch_done', 'is_event_done', 'set_event_done', '_position_key_changed')
    loop
        execute format('revoke all on function %s from public', f.fn);
        if f.proname = 'version' then
            execute format('grant execute on function %s to public', f.fn);
        elsif writer and f.proname <> '_position_key_changed' then
            execute format('grant execute on function %s to pgq_writer', f.fn);
        end if;
    end loop;
    if writer then
        grant select, insert, update, delete
           on pgq_ext.completed_tick, pgq_ext.completed_batch, pgq_ext.completed_event, pgq_ext.partial_batch
           to pgq_writer;
    else
        raise notice 'role pgq_writer does not exist: only the owner can use pgq_ext';
    end if;
end
$grants$;
