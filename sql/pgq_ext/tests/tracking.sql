-- Ticks, batches and events done: remembered, forgotten, per subconsumer.
\ir ../../pgq_node/tests/expect.psql
select pg_temp.rows($$ select pgq_ext.get_last_tick('c'), pgq_ext.set_last_tick('c', 5), pgq_ext.get_last_tick('c'), pgq_ext.get_last_tick('c', ''), pgq_ext.get_last_tick('c', 's') $$, '(,1,5,5,)');
select pg_temp.rows($$ select pgq_ext.set_last_tick('c', 3), pgq_ext.set_last_tick('c', 's', 9), pgq_ext.get_last_tick('c'), pgq_ext.get_last_tick('c', 's') $$, '(1,1,3,9)');
select pg_temp.rows($$ select pgq_ext.set_last_tick('c', null::bigint), pgq_ext.get_last_tick('c'), pgq_ext.get_last_tick('c', 's') $$, '(1,,9)');

select pg_temp.rows($$ select pgq_ext.is_batch_done('c', 1), pgq_ext.set_batch_done('c', 1), pgq_ext.is_batch_done('c', 1), pgq_ext.set_batch_done('c', 1), pgq_ext.is_batch_done('c', 's', 1) $$, '(f,t,t,f,f)');
select pg_temp.rows($$ select pgq_ext.set_batch_done('c', 2), pgq_ext.is_batch_done('c', 1), pgq_ext.is_batch_done('c', 2), pgq_ext.set_batch_done('c', 1) $$, '(t,f,t,t)');
select pg_temp.rows($$ select pgq_ext.set_batch_done('d', 0), pgq_ext.set_batch_done('d', 0), pgq_ext.set_batch_done('d', -1), pgq_ext.is_batch_done('d', 0) $$, '(t,t,t,f)');
select pg_temp.rows($$ select pgq_ext.set_batch_done('c', 's', 7), pgq_ext.set_batch_done('c', 's', 7), pgq_ext.is_batch_done('c', 's', 7), pgq_ext.is_batch_done('c', 7) $$, '(t,f,t,f)');

select pg_temp.rows($$ select pgq_ext.is_event_done('c', 1, 101), pgq_ext.set_event_done('c', 1, 101), pgq_ext.is_event_done('c', 1, 101), pgq_ext.set_event_done('c', 1, 101), pgq_ext.set_event_done('c', 1, 102) $$, '(f,t,t,f,t)');
select pg_temp.rows($$ select pgq_ext.set_event_done('c', 's', 1, 101), pgq_ext.is_event_done('c', 's', 1, 101), pgq_ext.is_event_done('c', 's', 1, 102) $$, '(t,t,f)');
-- another batch: the old one's events are forgotten, the subconsumer's are not
select pg_temp.rows($$ select pgq_ext.set_event_done('c', 2, 101), pgq_ext.is_event_done('c', 1, 101), pgq_ext.is_event_done('c', 's', 1, 101) $$, '(t,f,t)');
select pg_temp.rows('select * from pgq_ext.completed_event order by 1, 2', '(c,"",2,101)|(c,s,1,101)');
select pg_temp.rows('select * from pgq_ext.partial_batch order by 1, 2', '(c,"",2)|(c,s,1)');
select pg_temp.rows($$ select pgq_ext.set_last_tick(n, n, 1), pgq_ext.get_last_tick(n, n) from unnest(array['it''s', 'x''; drop table pgq_ext.completed_tick; --', '"']) n $$, '(1,1)|(1,1)|(1,1)');
select pg_temp.eq(pgq_ext.version() || pgq_ext.upgrade_schema(), '4.0.00');
-- tables of SkyTools 2
do $$
declare t record;
begin
    delete from pgq_ext.completed_event; delete from pgq_ext.partial_batch;
    for t in select c.relname from pg_class c where c.relnamespace = 'pgq_ext'::regnamespace and c.relkind = 'r' and c.relname <> 'position_key' loop
        execute format('drop trigger if exists position_key_trigger on pgq_ext.%I', t.relname);
        execute format('delete from pgq_ext.%I; alter table pgq_ext.%I drop column subconsumer_id', t.relname, t.relname);
    end loop;
    alter table pgq_ext.completed_tick add primary key (consumer_id);
end $$;
select pg_temp.eq(pgq_ext.upgrade_schema()::text, '8');
select pg_temp.rows($$ select pgq_ext.set_last_tick('c', 5), pgq_ext.set_event_done('c', 1, 1), pgq_ext.set_batch_done('c', 1) $$, '(1,t,t)');
-- rights
select pg_temp.rows($$ select distinct has_function_privilege('pgq_writer', oid, 'execute'), has_function_privilege('pgq_reader', oid, 'execute') from pg_proc where pronamespace = 'pgq_ext'::regnamespace and proname not in ('version', '_position_key_changed', '_position_key_arrived') $$, '(t,f)');
select pg_temp.rows($$ select distinct prosecdef, proconfig::text like '%search_path=pg_catalog%' from pg_proc where pronamespace = 'pgq_ext'::regnamespace and proargnames && '{a_subconsumer}' $$, '(t,t)');
