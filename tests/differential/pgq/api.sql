-- The functions that are not triggers: results, errors and the shape of answers.  Times and transaction ids are left out.
\pset null <null>
select pgq.create_queue(null); select pgq.create_queue('q'); select pgq.create_queue('q'); select pgq.create_queue('q 2 "x''');
select queue_id, queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_switch_step1 = queue_switch_step2 as same, queue_external_ticker, queue_disable_insert, queue_ticker_paused,
       queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period, queue_per_tx_limit, queue_data_pfx, queue_event_seq, queue_tick_seq, queue_extra_maint from pgq.queue order by 1;
select tick_queue, tick_id, tick_event_seq from pgq.tick order by 1, 2;
select c.relname, c.relkind, c.reloptions, c.relacl from pg_class c where relnamespace = 'pgq'::regnamespace and relname like 'event_1%' and relname not like '%state_seq' order by 1;
select c.relname, t.reloptions from pg_class c join pg_class t on t.oid = c.reltoastrelid where c.relname like 'event_1%' order by 1;
select inhrelid::regclass, inhparent::regclass from pg_inherits order by 1;
select attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid in ('pgq.event_1'::regclass, 'pgq.event_1_1'::regclass) and attnum > 0 order by attrelid::regclass::text, attnum;
select indexrelid::regclass, pg_get_indexdef(indexrelid) from pg_index where indrelid::regclass::text ~ '^pgq\.event_1' order by 1::text;
-- the keys of pgq.subscription are those of docs/design/newest-first.md
select conrelid::regclass, conname, pg_get_constraintdef(oid) from pg_constraint
 where conrelid in ('pgq.queue'::regclass, 'pgq.tick'::regclass, 'pgq.consumer'::regclass, 'pgq.subscription'::regclass, 'pgq.event_template'::regclass, 'pgq.retry_queue'::regclass)
   and not (conrelid = 'pgq.subscription'::regclass and contype in ('p', 'u')) order by 1::text, 2;
select attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
 where attrelid in ('pgq.queue'::regclass, 'pgq.tick'::regclass, 'pgq.consumer'::regclass, 'pgq.subscription'::regclass, 'pgq.event_template'::regclass, 'pgq.retry_queue'::regclass) and attnum > 0 order by attrelid::regclass::text, attnum;
select relname, relacl from pg_class where relnamespace = 'pgq'::regnamespace and relname in ('queue','tick','consumer','subscription','event_template','retry_queue','batch_id_seq') order by 1;
-- every function of the original, without our additions: signature, attributes, grants
select p.oid::regprocedure, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid), provolatile, proisstrict, prosecdef, proacl
  from pg_proc p where pronamespace = 'pgq'::regnamespace and (proname !~ '^_' or proname = '_grant_perms_from') and proname <> all ('{maint_sample_capture,apply_token,insert_events,refresh_queue_code,capture_table,uncapture_table,refresh_capture,rebase_transactions,tick_on_demand}') order by p.oid::regprocedure::text collate "C";

select pgq.set_queue_config(null, 'x', 'y'); select pgq.set_queue_config('q', null, 'y'); select pgq.set_queue_config('nope', 'ticker_max_lag', '1'); select pgq.set_queue_config('q', 'nope', '1');
select pgq.set_queue_config('q', 'queue_ticker_max_lag', '1'); select pgq.set_queue_config('q', 'ticker_max_lag', null); select pgq.set_queue_config('q', 'ticker_max_lag', 'abc'); select pgq.set_queue_config('q', 'ticker_max_count', '1.5');
select pgq.set_queue_config('q', 'disable_insert', 'true'); select pgq.set_queue_config('q', 'ticker_max_lag', '0'); select pgq.set_queue_config('q', 'ticker_max_count', '1'); select pgq.set_queue_config('q', 'rotation_period', '0'); select pgq.set_queue_config('q', 'ticker_idle_period', '0');
select pgq.set_queue_config('q', 'ticker_paused', 'maybe'); select pgq.set_queue_config('q', 'external_ticker', 'f');
select pgq.tune_storage('q'); select pgq.tune_storage('nope'); select pgq.tune_storage(null); select pgq.grant_perms('q'); select pgq.grant_perms('nope'); select pgq.grant_perms(null);
select pgq.insert_event('nope', 't', 'd'); select pgq.insert_event(null, 't', 'd');
select pgq.insert_event('q', 't', 'd'); select pgq.insert_event('q', null, null, null, null, null, null); select pgq.insert_event('q', 't', 'd', '1', '2', '3', '4');
select pgq.insert_event_raw('q', null, null, null, null, 't', 'raw', null, null, null, null); select pgq.insert_event_raw('q', 5, '2020-01-01 00:00+00', 7, 3, 't', 'raw', '1', '2', '3', '4');
select pgq.current_event_table('q'); select pgq.current_event_table('nope'); select pgq.current_event_table(null);
update pgq.queue set queue_disable_insert = true where queue_name = 'q';
select pgq.insert_event('q', 't', 'd'); select pgq.current_event_table('q');
begin; set local session_replication_role = replica; select pgq.insert_event('q', 't', 'disabled replica'); select pgq.current_event_table('q'); commit;
begin; set local session_replication_role = local; select pgq.insert_event('q', 't', 'disabled local'); commit;
update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 2 where queue_name = 'q';
begin; select pgq.insert_event('q', 't', 'l1'); select pgq.insert_event('q', 't', 'l2'); select pgq.insert_event('q', 't', 'l3'); rollback;
begin; select pgq.insert_event('q', 't', 'l1'); select pgq.insert_event('q', 't', 'l2'); commit;
select pgq.insert_event('q', 't', i::text) from generate_series(1, 3) i;
update pgq.queue set queue_per_tx_limit = 0 where queue_name = 'q'; select pgq.insert_event('q', 't', 'zero');
update pgq.queue set queue_per_tx_limit = -1 where queue_name = 'q'; select pgq.insert_event('q', 't', 'minus');
update pgq.queue set queue_per_tx_limit = null where queue_name = 'q';
select ev_id, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.event_1_0 order by ctid;

select pgq.register_consumer('nope', 'c'); select pgq.register_consumer('q', 'c'); select pgq.register_consumer('q', 'c'); select pgq.register_consumer_at('q', 'c', 99); select pgq.register_consumer_at('q', 'c2', 99);
select pgq.register_consumer_at('q', 'c2', 1); select pgq.register_consumer_at('q', 'c2', 1); select pgq.register_consumer_at('q', 'c3', null); select pgq.register_consumer(null, 'c'); select pgq.register_consumer('q', null);
delete from pgq.tick where tick_queue = 2; select pgq.register_consumer('q 2 "x''', 'c');
select co_id, co_name from pgq.consumer order by 1; select sub_id, sub_queue, sub_consumer, sub_last_tick, sub_batch, sub_next_tick from pgq.subscription order by 1;
select pgq.next_batch('q', 'c'); select * from pgq.next_batch_info('q', 'c'); select pgq.next_batch('q', 'nope'); select pgq.next_batch('nope', 'c'); select pgq.next_batch(null, null);
select pgq.ticker('nope'); select pgq.ticker(null); select pgq.ticker('q'); select pgq.ticker('q') is not null;
select pgq.insert_event('q', 't', 'after'); select pgq.ticker(); select pgq.ticker('q', 5, now(), 5);
select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq from pgq.next_batch_info('q', 'c');
select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq from pgq.next_batch_custom('q', 'c', '1 hour', 1000, '1 hour');
select pgq.next_batch('q', 'c');
select ev_id, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.get_batch_events(1);
select pgq.get_batch_events(99); select pgq.batch_event_sql(99); select pgq.batch_event_tables(99); select pgq.batch_event_tables(1); select * from pgq.get_batch_info(99); select pgq.get_batch_events(null);
select queue_name, consumer_name, prev_tick_id, tick_id, seq_start, seq_end from pgq.get_batch_info(1);
select pgq.batch_event_sql(1) ~ ' order by 1$';
select ev_id, ev_data from pgq.get_batch_cursor(1, 'cur', 2);
begin; select ev_id, ev_data from pgq.get_batch_cursor(1, 'cur "x', 2); move 2 in "cur ""x"; select ev_id, ev_data from pgq.get_batch_cursor(1, 'cur "x', 2); rollback;
begin; select ev_id, ev_data from pgq.get_batch_cursor(1, 'a', 0); move 1 in a; select ev_id, ev_data from pgq.get_batch_cursor(1, 'b', 100, $$ev_type = 't' and ev_data like 'l%'$$); move 2 in b; rollback;
begin; select ev_id from pgq.get_batch_cursor(1, 'n', null); fetch 1 from n; rollback; begin; select ev_id from pgq.get_batch_cursor(null, 'n', 1, 'true'); select ev_id from pgq.get_batch_cursor(1, null, 1, 'true'); select ev_id from pgq.get_batch_cursor(1, 'neg', -1); move 1 in neg; rollback;
do $$ begin perform pgq.get_batch_cursor(1, 'bad', 1, 'nosuch = 1'); exception when others then raise notice '%', sqlerrm; end $$; begin; select ev_id from pgq.get_batch_cursor(77, 'bad', 1); rollback;
select pgq.event_retry(1, 1, 0); select pgq.event_retry(1, 1, 0); select pgq.event_retry(1, 4711, 0); select pgq.event_retry(1, 2, now()); select pgq.event_retry(99, 1, 0);
select pgq.batch_retry(1, 0); select pgq.batch_retry(1, 0); select pgq.batch_retry(99, 0);
select pgq.event_retry_raw('q', 'c', now(), null, now(), 3, 't', 'raw retry', '1', '2', '3', '4'); select pgq.event_retry_raw('q', 'nope', now(), null, now(), 3, 't', 'd', '1', '2', '3', '4'); select pgq.event_retry_raw('q', 'c', now(), 7777, now(), 3, 't', 'raw retry', '1', '2', '3', '4');
select ev_queue, ev_id, ev_txid, ev_owner, ev_retry, ev_type, ev_data, ev_extra1 from pgq.retry_queue order by ev_id;
select pgq.maint_retry_events(); select pgq.maint_retry_events(); select pgq.maint_retry_events();
select pgq.finish_batch(1); select pgq.finish_batch(1); select pgq.finish_batch(null);
select pgq.ticker('q') is not null; select pgq.next_batch('q', 'c') ; select ev_id, ev_retry, ev_type, ev_data from pgq.get_batch_events((select sub_batch from pgq.subscription where sub_consumer = 1)); select pgq.next_batch('q', 'c2') is not null;
select ev_id, ev_retry, ev_data from pgq.get_batch_events((select sub_batch from pgq.subscription where sub_consumer = 2)) order by 1;
select queue_name, consumer_name, last_tick, current_batch, next_tick, pending_events from pgq.get_consumer_info(); select queue_name, consumer_name from pgq.get_consumer_info('q'); select queue_name, consumer_name from pgq.get_consumer_info('q', 'c2'); select queue_name, consumer_name from pgq.get_consumer_info(null, 'c'); select count(*) from pgq.get_consumer_info('nope');
select queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_external_ticker, queue_ticker_paused, queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period, ev_new, last_tick_id from pgq.get_queue_info();
select queue_name from pgq.get_queue_info('q'); select queue_name from pgq.get_queue_info(null::text); select queue_name from pgq.get_queue_info('nope');
select pgq.force_tick('q'); select pgq.force_tick('nope'); select pgq.seq_getval('pgq.event_1_id_seq') > 30 as moved; select pgq.seq_setval('pgq.event_1_id_seq', 50000); select pgq.seq_getval('pgq.event_1_id_seq'); select pgq.seq_setval('pgq.event_1_id_seq', 1); select pgq.seq_setval('pgq.event_1_id_seq', 100000); select pgq.seq_getval('pgq.nope'); select pgq.seq_getval(null); select pgq.seq_setval('pgq.nope', 1);
update pgq.queue set queue_external_ticker = true where queue_name = 'q'; select pgq.ticker('q'); select pgq.ticker(); select pgq.force_tick('q'); select pgq.ticker('q', 100, '2030-01-01', 200000); select pgq.ticker('q', 100, '2030-01-01', 200000); select pgq.ticker('q', 101, '2030-01-01', null); select pgq.ticker('nope', 101, '2030-01-01', 1);
select tick_id, tick_event_seq, tick_time = '2030-01-01' as given from pgq.tick where tick_queue = 1 order by 1 desc limit 1; select last_value from pgq.event_1_tick_seq; select last_value from pgq.event_1_id_seq;
update pgq.queue set queue_ticker_paused = true where queue_name = 'q'; select pgq.ticker('q', 102, now(), 1); update pgq.queue set queue_external_ticker = false; select pgq.ticker('q');
update pgq.queue set queue_ticker_paused = false;
select pgq.quote_fqname('a'), pgq.quote_fqname('a.b'), pgq.quote_fqname('a.b.c'), pgq.quote_fqname('A b.select'), pgq.quote_fqname(''), pgq.quote_fqname('.'), pgq.quote_fqname(null);
select next_tick_id, next_tick_seq from pgq.find_tick_helper(1, 1, now(), 0, 1, null); select next_tick_id, next_tick_seq from pgq.find_tick_helper(1, 1, now(), 0, null, null); select next_tick_id, next_tick_seq from pgq.find_tick_helper(1, 1000, now(), 0, 1, null); select next_tick_id from pgq.find_tick_helper(1, 1, now(), 0, 100000, null); select next_tick_id from pgq.find_tick_helper(1, 1, now(), 0, 1000000, '100 years'); select next_tick_id from pgq.find_tick_helper(1, 1, '2000-01-01', 0, 1000000, '1 year');
select * from pgq.maint_operations(); select pgq.maint_tables_to_vacuum();
update pgq.queue set queue_extra_maint = array['b.f', 'a.f'], queue_rotation_period = '1 day' where queue_name = 'q'; select * from pgq.maint_operations();
update pgq.queue set queue_rotation_period = '0'; 
select pgq.maint_rotate_tables_step1('q 2 "x'''); select queue_cur_table, queue_switch_step2 is null from pgq.queue order by 1, 2; select * from pgq.maint_operations();
select pgq.maint_rotate_tables_step1('q 2 "x'''); select pgq.maint_rotate_tables_step2(); select pgq.maint_rotate_tables_step1('nope'); select queue_cur_table, queue_switch_step2 is null from pgq.queue order by 1, 2;
select pgq.upgrade_schema();
select pgq.drop_queue('nope'); select pgq.drop_queue(null); select pgq.drop_queue('q'); select pgq.unregister_consumer('q', 'c3'); select pgq.unregister_consumer('q', 'c3'); select pgq.unregister_consumer('nope', 'c'); select co_name from pgq.consumer order by 1;
select pgq.drop_queue('q', true); select pgq.drop_queue('q 2 "x'''); select co_name from pgq.consumer order by 1; select relname from pg_class where relnamespace = 'pgq'::regnamespace and relname like 'event_%';
