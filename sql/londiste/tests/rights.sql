-- Rights of londiste: PUBLIC, roles, attributes, and the replica role.
\ir ../../pgq_node/tests/expect.psql
do $$
declare
    bad text;
begin
    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'londiste'::regnamespace
       and exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
       and p.proname not in ('find_column_types', 'find_table_fkeys', 'find_rel_oid', 'find_table_oid', 'find_seq_oid', 'is_replica_func',
                             'quote_fqname', 'make_fqname', 'split_fqname', 'version', 'can_set_replica_role');
    assert bad is null, 'PUBLIC may call ' || bad;
    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'londiste'::regnamespace
       and p.prosecdef <> (p.proname in ('set_session_replication_role', 'can_set_replica_role'));
    assert bad is null, 'wrong security of ' || bad;
    select string_agg(p.oid::regprocedure::text, ', ') into bad
      from pg_proc p
     where p.pronamespace = 'londiste'::regnamespace
       and p.proname not like '\_%'
       and p.proisstrict <> (p.proname in ('drop_table_triggers', 'execute_finish', 'get_seq_list', 'global_add_table', 'global_remove_seq', 'global_remove_table',
            'drop_table_fkey', 'restore_table_fkey', 'local_remove_seq', 'local_remove_table', 'find_column_types', 'find_table_fkeys', 'find_rel_oid',
            'find_table_oid', 'find_seq_oid', 'get_table_list', 'get_table_pending_fkeys', 'get_valid_pending_fkeys', 'local_show_missing',
            'is_replica_func', 'make_fqname', 'quote_fqname', 'split_fqname')
            or (p.proname = 'local_add_table' and p.pronargs = 2));
    assert bad is null, 'wrong strictness of ' || bad;
end $$;
select pg_temp.rows($$ select who, string_agg(fn, ',' order by fn) from unnest('{pgq_admin,londiste_reader,londiste_writer,pgq_writer}'::text[]) who,
    unnest('{local_remove_seq,get_table_list,_coordinate_copy,periodic_maintenance,create_trigger,local_change_handler,set_session_replication_role,version}'::text[]) fn
    where exists (select 1 from pg_proc p where p.pronamespace = 'londiste'::regnamespace and p.proname = fn and has_function_privilege(who, p.oid, 'execute'))
    group by who order by who $$,
    '(londiste_reader,"_coordinate_copy,get_table_list,version")'
    '|(londiste_writer,"_coordinate_copy,create_trigger,get_table_list,local_change_handler,local_remove_seq,periodic_maintenance,set_session_replication_role,version")'
    '|(pgq_admin,"periodic_maintenance,version")|(pgq_writer,version)');
select pg_temp.rows($$ select pg_has_role('londiste_writer', 'pgq_admin', 'member'), pg_has_role('londiste_reader', 'pgq_reader', 'member') $$, '(t,t)');
select pg_temp.rows($$ select who, has_table_privilege(who, 'londiste.table_info', 'select'), has_table_privilege(who, 'londiste.table_info', 'insert'),
    has_sequence_privilege(who, 'londiste.table_info_nr_seq', 'usage') from unnest('{pgq_admin,londiste_writer,londiste_reader}'::text[]) who order by 1 $$,
    '(londiste_reader,t,f,f)|(londiste_writer,t,t,t)|(pgq_admin,t,t,f)');

-- the replica role, owner superuser
select pg_temp.eq(londiste.can_set_replica_role()::text, 'true');
begin;
select londiste.set_session_replication_role('replica', true);
select pg_temp.eq(current_setting('session_replication_role'), 'replica');
commit;
select pg_temp.eq(current_setting('session_replication_role'), 'origin');
select londiste.set_session_replication_role('local', false);
select pg_temp.eq(current_setting('session_replication_role'), 'local');
select londiste.set_session_replication_role('replica', false);
begin;
select londiste.set_session_replication_role('local', true);
select londiste.can_set_replica_role();
select pg_temp.eq(current_setting('session_replication_role'), 'local');
rollback;
select pg_temp.eq(current_setting('session_replication_role'), 'replica');
select londiste.set_session_replication_role('origin', false);
select pg_temp.fails($$ select londiste.set_session_replication_role('bad', false) $$, null, 'bad value for session_replication_role');
select pg_temp.fails($$ select londiste.set_session_replication_role(null, true) $$, null, 'bad value for session_replication_role');
