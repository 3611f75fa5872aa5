-- Rights on schema pgq_node: on its tables here, on its functions by ../grant_functions.sql, which comes next.
do $grants$
declare
    managed constant text[] = '{pgq_reader,pgq_writer,pgq_admin}';
    everyone constant text[] = '{public}';
    nobody constant text[] = '{}';
    inspect constant text[] = '{pgq_reader,pgq_writer,pgq_admin}';
    consume constant text[] = '{pgq_writer,pgq_admin}';
    administer constant text[] = '{pgq_admin}';
    r text;
begin
    perform set_config('skytools.rights', jsonb_build_object(
        'schema', 'pgq_node', 'roles', managed, 'functions', jsonb_object_agg(name, grantees))::text, false)
       from (values
            ('is_root_node', everyone),
            ('is_leaf_node', everyone),
            ('version', everyone),
            -- local consumers
            ('register_consumer', consume),
            ('unregister_consumer', consume),
            ('change_consumer_provider', consume),
            ('set_consumer_uptodate', consume),
            ('set_consumer_paused', consume),
            ('set_consumer_completed', consume),
            ('set_consumer_error', consume),
            -- as seen from nodes below
            ('get_consumer_info', inspect),
            ('get_consumer_state', inspect),
            ('get_queue_locations', inspect),
            ('get_node_info', inspect),
            ('get_subscriber_info', inspect),
            ('register_subscriber', inspect),
            ('unregister_subscriber', inspect),
            ('set_subscriber_watermark', inspect),
            -- worker and administration
            ('create_node', administer),
            ('drop_node', administer),
            ('demote_root', administer),
            ('promote_branch', administer),
            ('set_node_attrs', administer),
            ('get_worker_state', administer),
            ('set_global_watermark', administer),
            ('set_partition_watermark', administer),
            ('register_location', administer),
            ('unregister_location', administer),
            ('upgrade_schema', administer),
            ('maint_watermark', administer),
            ('_local_watermark', administer),
            ('_local_state', administer),
            ('_set_local_state', nobody),
            ('_local_state_key_changed', nobody),
            ('_local_state_key_arrived', nobody)
       ) rights (name, grantees);

    foreach r in array managed loop
        if exists (select 1 from pg_catalog.pg_roles where rolname = r) then
            execute format(
                'grant %s on table pgq_node.node_location, pgq_node.node_info, '
                'pgq_node.local_state, pgq_node.subscriber_info to %s',
                case when r = 'pgq_admin' then 'select, insert, update, delete' else 'select' end, r);
        end if;
    end loop;
end
$grants$;
