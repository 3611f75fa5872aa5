-- Rights on schema londiste: on its tables here, on its functions by ../grant_functions.sql, which comes next.
do $grants$
declare
    managed constant text[] = '{pgq_reader,pgq_writer,pgq_admin,londiste_reader,londiste_writer}';
    everyone constant text[] = '{public}';
    inspect constant text[] = '{londiste_reader,londiste_writer}';
    administer constant text[] = '{londiste_writer}';
    maintain constant text[] = '{pgq_admin,londiste_writer}';
    r text;
begin
    perform set_config('skytools.rights', jsonb_build_object(
        'schema', 'londiste', 'roles', managed, 'functions', jsonb_object_agg(name, grantees))::text, false)
       from (values
            ('find_column_types', everyone),
            ('find_table_fkeys', everyone),
            ('find_rel_oid', everyone),
            ('find_table_oid', everyone),
            ('find_seq_oid', everyone),
            ('is_replica_func', everyone),
            ('quote_fqname', everyone),
            ('make_fqname', everyone),
            ('split_fqname', everyone),
            ('version', everyone),
            ('can_set_replica_role', everyone),

            ('get_seq_list', inspect),
            ('get_table_list', inspect),
            ('_coordinate_copy', inspect),
            ('_lost_capture', inspect),

            ('local_add_seq', administer),
            ('local_add_table', administer),
            ('local_change_handler', administer),
            ('local_remove_seq', administer),
            ('local_remove_table', administer),
            ('local_set_table_attrs', administer),
            ('local_set_table_state', administer),
            ('local_set_table_struct', administer),
            ('local_show_missing', administer),
            ('global_add_table', administer),
            ('global_remove_table', administer),
            ('global_update_seq', administer),
            ('global_remove_seq', administer),
            ('get_table_pending_fkeys', administer),
            ('get_valid_pending_fkeys', administer),
            ('drop_table_fkey', administer),
            ('restore_table_fkey', administer),
            ('execute_start', administer),
            ('execute_finish', administer),
            ('root_notify_change', administer),
            ('create_partition', administer),
            ('is_obsolete_partition', administer),
            ('list_obsolete_partitions', administer),
            ('drop_obsolete_partitions', administer),
            ('create_trigger', administer),
            ('_change_trigger', administer),
            ('drop_table_triggers', administer),
            ('table_info_trigger', administer),
            ('set_session_replication_role', administer),
            ('upgrade_schema', administer),
            ('_trigger_base_name', administer),
            ('_trigger_args', administer),
            ('_make_trigger', administer),
            ('_check_table', administer),
            ('_check_capture', administer),
            ('_capture_args', administer),
            ('_remember_capture', administer),
            ('_restore_capture', administer),
            ('_table_info_capture', administer),
            ('_merge_siblings', administer),
            ('_partition_format', administer),
            ('_remove_table', administer),
            ('_restore_table_fkey', administer),

            ('root_check_seqs', maintain),
            ('periodic_maintenance', maintain)
       ) rights (name, grantees);

    foreach r in array managed || everyone loop
        if r = 'public' or exists (select 1 from pg_catalog.pg_roles where rolname = r) then
            if r = 'pgq_admin' then
                execute 'grant select, insert, update, delete on table londiste.table_info, '
                        'londiste.seq_info, londiste.pending_fkeys, londiste.applied_execute to pgq_admin';
            elsif r in ('public', 'londiste_reader') then
                execute format('grant select on table londiste.table_info, londiste.seq_info, '
                               'londiste.pending_fkeys, londiste.applied_execute to %s', r);
            elsif r = 'londiste_writer' then
                execute 'grant usage on sequence londiste.table_info_nr_seq, '
                        'londiste.seq_info_nr_seq to londiste_writer';
            end if;
        end if;
    end loop;
end
$grants$;
