-- Who may do what.  Where a role does not exist its part is left out, and what it would guard stays closed to PUBLIC.
do $grants$
declare
    -- londiste_writer has what pgq_admin has, as its member; it was granted some of that before, where it existed already
    _managed text[] := array(
        select r from pg_catalog.unnest(array['pgq_reader', 'pgq_writer', 'pgq_admin', 'londiste_writer']) r
         where pg_catalog.to_regrole(r) is not null);
    _g record;
    _grantee text;
begin
    grant usage on schema pgq to public;

    for _g in
        select * from (values
            ('public', array[
                'seq_getval', 'get_queue_info', 'get_consumer_info', 'quote_fqname', 'version',
                -- run inside of triggers, as whoever changes a table
                '_apply_allowed', '_capture_nested', '_capture_number', '_capture_key', '_capture_never_null', '_capture_constraint_triggers', '_trigger_number', '_trigger_first', '_trigger_which', '_urlencode', '_urlencode_bytes', '_event_encoding', '_trigger_plan', '_trigger_urlenc', '_trigger_json', '_trigger_sql',
                -- read-only steps of functions that are guarded themselves
                '_assert_queue_state', '_assert_still_open', '_count_tx_event']),
            ('pgq_reader', array[
                'batch_event_sql', 'batch_event_tables', 'find_tick_helper', 'register_consumer', 'register_consumer_at',
                'unregister_consumer', 'next_batch_info', 'next_batch', 'next_batch_custom', 'get_batch_events',
                'get_batch_info', 'get_batch_cursor', 'event_retry', 'batch_retry', 'force_tick', 'finish_batch',
                '_subscription', '_batch']),
            ('pgq_writer', array[
                'insert_event', 'insert_events', '_trigger_event', 'current_event_table', 'jsontriga', 'sqltriga', 'logutriga']),
            ('pgq_admin', array[
                'ticker', 'tick_on_demand', 'maint_retry_events', 'maint_rotate_tables_step1', 'maint_rotate_tables_step2',
                'maint_tables_to_vacuum', 'maint_operations', 'maint_sample_capture', '_capture_to_sample', 'upgrade_schema', 'grant_perms', '_grant_perms_from',
                'tune_storage', 'seq_setval', 'create_queue', 'drop_queue', 'set_queue_config', 'insert_event_raw',
                'event_retry_raw', '_settle_queue_state', 'apply_token', 'refresh_queue_code',
                'refresh_capture', 'capture_table', 'uncapture_table', '_capture_register', '_capture_forget', '_capture_possible', '_capture_constant', '_capture_allow', '_capture_triggers', '_capture_wanted', '_capture_current', '_trigger_check_key', '_capture_swappable', '_capture_open', '_capture_one_key', '_capture_check_statement', '_capture_drop_triggers', '_capture_follower', '_capture_follower_planned', '_capture_not_last', '_capture_rename', '_trigger_options', '_trigger_expression']),
            ('', array['_server', '_newest_event', '_written_behind', '_settle_server', '_assert_same_server', '_flush_tick', '_queue_state_changed', '_queue_code_changed', '_subscription_key_changed', '_subscription_key_arrived', '_seen', '_move_subscription', '_still_open', '_queue_code', '_queue_choice', '_write_queue_code', '_write_queue_leaf', '_type_equality', '_column_equal', '_column_text']),
            ('', array['_capture_changed', '_capture_plain', '_capture_time', '_capture_float', '_capture_bytes', '_capture_text', '_capture_intact',
                '_capture_columns', '_capture_quote', '_capture_encode', '_capture_urlencode', '_capture_code', '_capture_too_large', '_capture_row',
                '_capture_heal', '_capture_event', '_write_capture', '_capture_words', '_capture_state', '_capture_insert', '_capture_refuse', '_capture_slow',
                '_capture_row_code', '_capture_statement_code', '_capture_close', '_capture_rows', '_capture_keys_changed', '_capture_key_values', '_capture_keys_twice', '_capture_insert_rows', '_capture_altered', '_capture_plan', '_capture_settings', '_capture_canonical', '_capture_enter', '_capture_leave',
                '_capture_rest', '_capture_usual', '_capture_claims', '_capture_unique_indexes', '_capture_uniqueness', '_capture_renamed', '_capture_inherited', '_capture_inherited_planned', '_capture_null_key', '_capture_null_refused', '_capture_same_columns', '_capture_unaltered', '_capture_full_xid', '_capture_xid_status', '_capture_unchanged', '_capture_kept', '_capture_order_setting', '_capture_order_table', '_capture_order_block', '_capture_order_lock', '_capture_message', '_capture_assert_kept', '_capture_meddled', '_capture_planned', '_capture_looked', '_capture_leaves_delete',
                '_capture_remember', '_capture_order_offset', '_capture_late_key', '_capture_take_late', '_capture_numbers', '_capture_first', '_capture_leave_to_after', '_capture_own', '_capture_primary_key', '_capture_key_checked', '_capture_unchecked', '_capture_pending', '_capture_sample', '_capture_lost', '_capture_may_be_lost'])
        ) v (role, names)
    loop
        for _grantee in
            select p.oid::pg_catalog.regprocedure::text
              from pg_catalog.pg_proc p
             where p.pronamespace = 'pgq'::pg_catalog.regnamespace
               and p.proname = any (_g.names)
             order by 1
        loop
            execute pg_catalog.format('revoke all on function %s from %s', _grantee,
                pg_catalog.array_to_string(
                    (select pg_catalog.array_agg(pg_catalog.quote_ident(m)) from pg_catalog.unnest(_managed) m) || 'public'::text, ', '));
            if _g.role = 'public' or _g.role = any (_managed) then
                execute pg_catalog.format('grant execute on function %s to %s', _grantee, _g.role);
            end if;
        end loop;
    end loop;

    -- Whoever has pgq.insert_event, apart from these roles, writes by the generic triggers as well, and nobody else.
    for _g in
        with given as (
            select distinct p.proname, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) as grantee
              from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
             where p.pronamespace = 'pgq'::pg_catalog.regnamespace and p.pronargs <> 3 and p.proname in ('insert_event', '_trigger_event')
               and a.privilege_type = 'EXECUTE' and a.grantee <> all (array[0, p.proowner]))
        select g.grantee, pg_catalog.bool_or(g.proname = 'insert_event') as writes from given g group by g.grantee
    loop
        execute pg_catalog.format('%s execute on function pgq._trigger_event(text, text, oid, tid, text, text, text, text, text, text, text) %s %s',
                                  case when _g.writes then 'grant' else 'revoke' end, case when _g.writes then 'to' else 'from' end, _g.grantee);
    end loop;

    for _g in
        select * from (values
            ('consumer', 'select, insert, update, delete', 'select', 'select'),
            ('queue', 'select, insert, update, delete', 'select', 'select'),
            ('tick', 'select, insert, update, delete', 'select', 'select'),
            ('subscription', 'select, insert, update, delete', 'select', 'select'),
            ('subscription_key', 'select', 'select', 'select'),
            ('event_template', 'select, insert, truncate', 'select', null),
            ('retry_queue', 'select, insert, update, delete', null, null),
            ('queue_server', 'select', null, null),
            ('apply_token', null, null, null),
            ('trigger_plan', null, null, 'select'),
            ('capture', 'select', 'select', 'select'),
            ('capture_secret', null, null, null)
        ) v (name, admin, reader, everybody)
    loop
        execute pg_catalog.format('revoke all on table pgq.%I from %s', _g.name,
            pg_catalog.array_to_string(
                (select pg_catalog.array_agg(pg_catalog.quote_ident(m)) from pg_catalog.unnest(_managed) m) || 'public'::text, ', '));
        if _g.reader is not null and 'pgq_reader' = any (_managed) then
            execute pg_catalog.format('grant %s on table pgq.%I to pgq_reader', _g.reader, _g.name);
        end if;
        if _g.admin is not null and 'pgq_admin' = any (_managed) then
            execute pg_catalog.format('grant %s on table pgq.%I to pgq_admin', _g.admin, _g.name);
        end if;
        if _g.everybody is not null then
            execute pg_catalog.format('grant %s on table pgq.%I to public', _g.everybody, _g.name);
        end if;
    end loop;

    -- Queues made while a role did not exist.
    perform pgq.grant_perms(q.queue_name) from pgq.queue q;
end;
$grants$;
