-- Subconsumers: registration, handing out batches, a dead sibling, finishing, unregistering.
\ir ../../pgq_node/tests/expect.psql
select pgq.create_queue('q');
update pgq.queue set queue_external_ticker = true;
create function pg_temp.subs() returns setof record as $$
    select c.co_name, s.sub_last_tick, s.sub_next_tick, s.sub_batch is not null, s.sub_id = min(s.sub_id) over ()
      from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer order by 1;
$$ language sql;
select pg_temp.eq(pgq_coop.register_subconsumer('q', 'c', 's1')::text || pgq_coop.register_subconsumer('q', 'c', 's1')
    || pgq_coop.register_subconsumer('q', 'c', 's2'), '101');
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,1,,f,t)|(c.s1,,,f,t)|(c.s2,,,f,t)');
select pg_temp.fails($$ select pgq_coop.register_subconsumer('nope', 'c', 's1') $$, null, '%not created%');
select pg_temp.eq(pgq_coop.next_batch('q', 'c', 's1')::text, null);

select pgq.ticker('q', 2, now() - interval '1 minute', 10), pgq.ticker('q', 3, now() - interval '50 s', 20), pgq.ticker('q', 4, now() - interval '40 s', 30);
create temp table b as select pgq_coop.next_batch('q', 'c', 's1') as b1, null::bigint as b2;
update b set b2 = pgq_coop.next_batch('q', 'c', 's2');
select pg_temp.rows('select b1 < b2 from b', '(t)');
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,3,,f,t)|(c.s1,1,2,t,t)|(c.s2,2,3,t,t)');
-- asking again gives the same
select pg_temp.rows($$ select pgq_coop.next_batch('q', 'c', 's1') = b1, pgq_coop.next_batch('q', 'c', 's2', '1 s') = b2 from b $$, '(t,t)');
select pg_temp.fails($$ select pgq.next_batch('q', 'c.s3') $$, null, 'Not subscriber to queue%');

select pg_temp.eq(pgq_coop.finish_batch(b1)::text, '1') from b;
select pg_temp.eq(pgq_coop.finish_batch(b1)::text, '0') from b;
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,3,,f,t)|(c.s1,,,f,t)|(c.s2,2,3,t,t)');

-- s2 dies: s1 takes its batch over; not before
select pg_temp.rows($$ select pgq_coop.next_batch_custom('q', 'c', 's1', '1 hour', null, null) $$, '()');
update pgq.subscription set sub_active = now() - interval '1 hour' where sub_batch is not null;
select pg_temp.rows($$ select pgq_coop.next_batch('q', 'c', 's1', '2 hours') is null $$, '(f)');
select pgq_coop.finish_batch(sub_batch) from pgq.subscription where sub_batch is not null and sub_last_tick = 3;
select pg_temp.rows($$ select pgq_coop.next_batch('q', 'c', 's1', '10 minutes') = b2 from b $$, '(t)');
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,4,,f,t)|(c.s1,2,3,t,t)');
-- it comes back by itself
select pg_temp.eq(pgq_coop.next_batch('q', 'c', 's2')::text, null);
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,4,,f,t)|(c.s1,2,3,t,t)|(c.s2,,,f,t)');
-- idle and dead: removed
update pgq.subscription set sub_active = now() - interval '1 hour';
select pgq_coop.finish_batch(b2) from b;
select pg_temp.eq(pgq_coop.next_batch('q', 'c', 's1', '10 minutes')::text, null);
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(c,4,,f,t)|(c.s1,,,f,t)');

-- unregistering
select pgq.ticker('q', 5, now(), 40);
select pgq_coop.next_batch('q', 'c', 's1');
select pg_temp.fails($$ select pgq_coop.unregister_subconsumer('q', 'c', 's1', 0) $$, null, 'subconsumer has active batch');
select pg_temp.fails($$ select pgq_coop.unregister_subconsumer('q', 'c', 's1', null) $$, null, 'subconsumer has active batch');
select pg_temp.eq(pgq_coop.unregister_subconsumer('q', 'c', 's1', 1)::text || pgq_coop.unregister_subconsumer('q', 'c', 's1', 1), '10');
select pg_temp.eq(pgq_coop.unregister_subconsumer('nope', 'c', 's1', 1)::text, '0');

-- a plain consumer's batch, and one of the main consumer itself
select pgq.register_consumer_at('q', 'plain', 4);
select pg_temp.eq(pgq_coop.finish_batch(pgq.next_batch('q', 'plain'))::text, '0');
select pg_temp.rows($$ select last_tick, next_tick from pgq.get_consumer_info('q', 'plain') $$, '(4,5)');
select pgq.register_consumer_at('q', 'c', 4);
select pgq.next_batch('q', 'c');
select pg_temp.fails($$ select pgq_coop.next_batch('q', 'c', 's1') $$, null, 'main consumer has batch open?');
select pgq.register_consumer_at('q', 'c', 4);
select pgq_coop.register_subconsumer('q', 'c', 's1'), pgq_coop.register_subconsumer('q', 'c', 's2');
select pg_temp.eq(pgq.unregister_consumer('q', 'c')::text, '3');
select pg_temp.rows('select * from pg_temp.subs() x (n text, l int8, nx int8, b bool, same bool)', '(plain,4,5,t,t)');

-- registered by asking; odd names
select pg_temp.eq(pgq_coop.next_batch('q', n, n)::text, null) from unnest(array['it''s', 'a"b', 'x''; drop table pgq.queue; --', 'UP per']) n;
select pg_temp.rows($$ select has_function_privilege(r, p.oid, 'execute'), count(*) from pg_proc p, unnest('{pgq_reader,pgq_writer}'::text[]) r where pronamespace = 'pgq_coop'::regnamespace and proname <> 'version' group by r, 1 order by r $$, '(t,7)|(f,7)');
select pg_temp.rows($$ select proname::text, pronargs from pg_proc where pronamespace = 'pgq_coop'::regnamespace and prosecdef order by 1, 2 $$, '(finish_batch,1)|(next_batch_custom,7)|(register_subconsumer,3)|(unregister_subconsumer,4)');
select pg_temp.eq(pgq_coop.version(), '4.0.0');

-- a consumer of its own with the name that a subconsumer would have keeps its position
select pgq.create_queue('k'), pgq.register_consumer('k', 'foo.bar'), pgq.register_consumer('k', 'foo');
update pgq.queue set queue_external_ticker = true where queue_name = 'k';
select pgq.ticker('k', 2, now() - interval '1 minute', 10);
create temp table before as select * from pgq.get_consumer_info('k');
select pg_temp.fails($$ select pgq_coop.next_batch('k', 'foo', 'bar') $$, '55000', 'consumer foo.bar is not a subconsumer of foo');
select pg_temp.fails($$ select pgq_coop.register_subconsumer('k', 'foo', 'bar') $$, '55000', 'consumer foo.bar is not a subconsumer of foo');
select pg_temp.rows($$ select count(*) from pgq.get_consumer_info('k') a join before b using (consumer_name, last_tick) where a.next_tick is null and a.current_batch is null $$, '(2)');
-- nor does one whose main consumer is another
select pgq_coop.register_subconsumer('k', 'a.b', 'c');
select pg_temp.fails($$ select pgq_coop.next_batch('k', 'a', 'b.c') $$, '55000', 'consumer a.b.c is not a subconsumer of a');
select pg_temp.eq(pgq_coop.register_subconsumer('k', 'foo', 'baz')::text || pgq_coop.register_subconsumer('k', 'foo', 'baz')::text, '10');

-- a clock that was a day ahead is set right: who is seen from now on is seen now, and a sibling that is not seen any more loses its batch
select pgq.create_queue('clock'), pgq.register_consumer('clock', 'plain');
update pgq.queue set queue_external_ticker = true where queue_name = 'clock';
create temp table got (who text, batch bigint);
insert into got select 's0', pgq_coop.next_batch('clock', 'm', 's0');
select pgq_coop.register_subconsumer('clock', 'm', s) from unnest('{s1,s2}'::text[]) s;
select pgq.ticker('clock', n + 1, now() - interval '1 minute', n * 10) from generate_series(1, 2) n;
insert into got select 's0', pgq_coop.next_batch('clock', 'm', 's0');
update pgq.subscription set sub_active = now() + interval '1 day' where sub_queue = (select queue_id from pgq.queue where queue_name = 'clock');
create function pg_temp.seen() returns text language sql as $$ select string_agg(consumer_name || case when last_seen > '-1 minute' then ' now' else ' ahead' end, ',' order by consumer_name) from pgq.get_consumer_info('clock') $$;
select pg_temp.eq(pg_temp.seen(), 'm ahead,m.s0 ahead,m.s1 ahead,m.s2 ahead,plain ahead');
select pg_temp.eq(pgq.finish_batch(pgq.next_batch('clock', 'plain'))::text, '1');
insert into got select 's1', pgq_coop.next_batch('clock', 'm', 's1');
select pg_temp.eq(pg_temp.seen(), 'm now,m.s0 ahead,m.s1 now,m.s2 ahead,plain now');
-- s0, which was seen by the wrong clock only, is watched from now on
select pg_temp.eq(pgq_coop.next_batch('clock', 'm', 's2', '1 hour')::text, null);
select pg_temp.eq(pg_temp.seen(), 'm now,m.s0 now,m.s1 now,m.s2 ahead,plain now');
update pgq.subscription s set sub_active = s.sub_active - interval '2 hours' from pgq.consumer c where c.co_id = s.sub_consumer and c.co_name in ('m.s0', 'm.s1');
select pg_temp.eq((pgq_coop.next_batch('clock', 'm', 's2', '1 hour') = (select batch from got where who = 's0' and batch is not null))::text, 'true');
select pg_temp.eq(pg_temp.seen(), 'm now,m.s1 now,m.s2 now,plain now');
-- a small step back, or a transaction that has begun before others, does not make it fall
update pgq.subscription set sub_active = now() + interval '20 seconds' where sub_queue = (select queue_id from pgq.queue where queue_name = 'clock');
select pg_temp.eq(pgq_coop.finish_batch(pgq_coop.next_batch('clock', 'm', 's2'))::text, '1');
select pg_temp.rows($$ select count(*) from pgq.get_consumer_info('clock') where last_seen < '-10 seconds' $$, '(4)');
