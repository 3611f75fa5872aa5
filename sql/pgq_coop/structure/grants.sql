-- ----------------------------------------------------------------------
-- Rights on schema pgq_coop: all of it for pgq_reader, where that role exists, and
-- nothing but version() for PUBLIC.  Functions that somebody else put into the schema are left alone.
-- ----------------------------------------------------------------------
do $grants$
declare
    f record;
    reader constant boolean = exists (select 1 from pg_catalog.pg_roles where rolname = 'pgq_reader');
begin
    for f in
        select p.oid::regprocedure as fn, p.proname
          from pg_catalog.pg_proc p
         where p.pronamespace = 'pgq_coop'::regnamespace
           and p.proname in ('version', 'register_subconsumer', 'unregister_subconsumer',
                             'next_batch', 'next_batch_custom', 'finish_batch')
    loop
        execute format('revoke all on function %s from public', f.fn);
        if f.proname = 'version' then
            execute format('grant execute on function %s to public', f.fn);
        elsif reader then
            execute format('grant execute on function %s to pgq_reader', f.fn);
        end if;
    end loop;
    if not reader then
        raise notice 'role pgq_reader does not exist: only the owner can use pgq_coop';
    end if;
end
$grants$;
