-- Rights: what each role may call, nothing for PUBLIC that roles guard, pinned search_path.
\ir expect.psql
do $$
declare
    bad text;
begin
    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'pgq_node'::regnamespace
       and exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
       and p.proname not in ('is_root_node', 'is_leaf_node', 'version');
    assert bad is null, 'PUBLIC may call ' || bad;

    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'pgq_node'::regnamespace
       and p.prosecdef <> (p.proname not in ('is_root_node', 'is_leaf_node', 'maint_watermark', 'upgrade_schema', 'version', '_local_watermark'));
    assert bad is null, 'wrong security of ' || bad;
    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'pgq_node'::regnamespace and p.prosecdef
       and not coalesce(p.proconfig::text like '%search_path=pg_catalog%', false);
    assert bad is null, 'search_path not pinned: ' || bad;
end $$;
create function pg_temp.may(who text, fn text) returns boolean as $$
    select has_function_privilege(who, p.oid, 'execute') from pg_proc p
     where p.pronamespace = 'pgq_node'::regnamespace and p.proname = fn;
$$ language sql;
select pg_temp.rows($$ select who, string_agg(fn, ',' order by fn) from unnest('{pgq_reader,pgq_writer,pgq_admin}'::text[]) who,
    unnest('{create_node,drop_node,get_node_info,get_worker_state,is_root_node,register_consumer,register_subscriber,set_consumer_completed,set_global_watermark,maint_watermark,register_location}'::text[]) fn
    where pg_temp.may(who, fn) group by who order by who $$,
    '(pgq_admin,"create_node,drop_node,get_node_info,get_worker_state,is_root_node,maint_watermark,register_consumer,register_location,register_subscriber,set_consumer_completed,set_global_watermark")'
    '|(pgq_reader,"get_node_info,is_root_node,register_subscriber")'
    '|(pgq_writer,"get_node_info,is_root_node,register_consumer,register_subscriber,set_consumer_completed")');
select pg_temp.rows($$ select who, has_table_privilege(who, 'pgq_node.local_state', 'select'), has_table_privilege(who, 'pgq_node.local_state', 'update')
    from unnest('{pgq_reader,pgq_writer,pgq_admin}'::text[]) who order by 1 $$, '(pgq_admin,t,t)|(pgq_reader,t,f)|(pgq_writer,t,f)');
