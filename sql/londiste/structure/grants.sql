-- ----------------------------------------------------------------------
-- Rights on schema londiste.
--
-- Every function listed is taken from PUBLIC first.  Then each role of the list
-- that exists is granted to; where roles could not be created only the owner (and
-- what is public on purpose) is left, and a later install grants the rest.
-- Functions that somebody else put into the schema are left alone.
-- ----------------------------------------------------------------------
do $grants$
declare
    managed constant text[] = '{pgq_reader,pgq_writer,pgq_admin,londiste_reader,londiste_writer}';
    everyone constant text[] = '{public}';
    inspect constant text[] = '{londiste_reader,londiste_writer}';
    administer constant text[] = '{londiste_writer}';
    maintain constant text[] = '{pgq_admin,londiste_writer}';
    f record;
    r text;
begin
    for f in
        with rights (name, grantees) as (values
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
            ('drop_table_triggers', administer),
            ('table_info_trigger', administer),
            ('set_session_replication_role', administer),
            ('upgrade_schema', administer),
            ('_trigger_base_name', administer),
            ('_trigger_args', administer),
            ('_make_trigger', administer),
            ('_check_table', administer),
            ('_check_capture', administer),
            ('_merge_siblings', administer),
            ('_partition_format', administer),

            ('root_check_seqs', maintain),
            ('periodic_maintenance', maintain)
        )
        select p.oid::regprocedure as fn, rights.grantees
          from pg_catalog.pg_proc p
          left join rights on rights.name = p.proname
         where p.pronamespace = 'londiste'::regnamespace
    loop
        if f.grantees is null then
            raise notice 'function % is not a part of londiste: its rights stay as they are', f.fn;
            continue;
        end if;
        foreach r in array managed || everyone loop
            if r = 'public' or exists (select 1 from pg_catalog.pg_roles where rolname = r) then
                execute format('revoke all on function %s from %s', f.fn, r);
                if r = any (f.grantees) then
                    execute format('grant execute on function %s to %s', f.fn, r);
                end if;
            end if;
        end loop;
    end loop;

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
