-- Installs PgQ into the current database, or upgrades what is there:
--
--     psql -1 -v ON_ERROR_STOP=1 -f sql/pgq/install.sql
--
-- Needs CREATE on the database, nothing more.  Running it again changes nothing; running it over
-- an installation of SkyTools 3 (an extension or plain) adopts queues, consumers and triggers in place.
\ir structure/adopt.sql
\ir structure/tables.sql
\ir structure/roles.sql
\ir structure/newest_first.sql
\ir structure/trigger_plan.sql
\ir functions/pgq.quote_fqname.sql
\ir functions/pgq.seq_getval.sql
\ir functions/pgq.seq_setval.sql
\ir functions/pgq.version.sql
\ir functions/pgq.upgrade_schema.sql
\ir functions/pgq._queue_state_changed.sql
\ir functions/pgq._settle_queue_state.sql
\ir functions/pgq._assert_queue_state.sql
\ir functions/pgq._count_tx_event.sql
\ir functions/pgq._grant_perms_from.sql
\ir functions/pgq.grant_perms.sql
\ir functions/pgq.tune_storage.sql
\ir functions/pgq.refresh_queue_code.sql
\ir functions/pgq.create_queue.sql
\ir functions/pgq.drop_queue.sql
\ir functions/pgq.set_queue_config.sql
\ir functions/pgq.insert_event_raw.sql
\ir functions/pgq.insert_event.sql
\ir functions/pgq.insert_events.sql
\ir functions/pgq.current_event_table.sql
\ir functions/pgq._subscription.sql
\ir functions/pgq.register_consumer.sql
\ir functions/pgq.unregister_consumer.sql
\ir functions/pgq.find_tick_helper.sql
\ir functions/pgq.next_batch.sql
\ir functions/pgq.batch_event_tables.sql
\ir functions/pgq.batch_event_sql.sql
\ir functions/pgq.get_batch_events.sql
\ir functions/pgq.get_batch_cursor.sql
\ir functions/pgq.get_batch_info.sql
\ir functions/pgq.finish_batch.sql
\ir functions/pgq.event_retry.sql
\ir functions/pgq.event_retry_raw.sql
\ir functions/pgq.batch_retry.sql
\ir functions/pgq.get_queue_info.sql
\ir functions/pgq.get_consumer_info.sql
\ir functions/pgq.ticker.sql
\ir functions/pgq.force_tick.sql
\ir functions/pgq.maint_retry_events.sql
\ir functions/pgq.maint_rotate_tables.sql
\ir functions/pgq.maint_tables_to_vacuum.sql
\ir functions/pgq.maint_operations.sql
\ir functions/pgq.apply_token.sql
\ir functions/pgq._urlencode.sql
\ir functions/pgq._trigger_options.sql
\ir functions/pgq._trigger_expression.sql
\ir functions/pgq._trigger_columns.sql
\ir functions/pgq._trigger_plan.sql
\ir functions/pgq._trigger_render.sql
\ir triggers/capture.sql
\ir structure/queue_state.sql
\ir structure/grants.sql
