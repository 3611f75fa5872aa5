-- Functions of an older installation whose result type has changed since are dropped; the files of functions, which
-- come later in the same transaction, create them anew.
do $obsolete$
declare
    obj record;
begin
    for obj in
        select p.oid::regprocedure as fn
          from pg_catalog.pg_proc p
          join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'pgq_node'
           and p.proname = 'get_node_info'
           and not ('target_for' = any (coalesce(p.proargnames, '{}')))
    loop
        execute format('drop function %s', obj.fn);
    end loop;
end
$obsolete$;
