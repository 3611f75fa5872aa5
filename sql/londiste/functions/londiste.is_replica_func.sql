-- londiste.is_replica_func(oid): whether a trigger with this function writes events
-- into a queue.
create or replace function londiste.is_replica_func(func_oid oid)
returns boolean
as $$
    select count(*) > 0
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where p.oid = $1
       and n.nspname = 'pgq'
       and (p.proname in ('sqltriga', 'logutriga', 'jsontriga') or p.proname ~ '^_capture_([0-9]+|open|one_key)$');
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
