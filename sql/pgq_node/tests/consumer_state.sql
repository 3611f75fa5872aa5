-- Consumers of a node: registration, provider, pause handshake, position, error.
\ir expect.psql
select pgq_node.register_location('q', x, 'dbname=' || x, false) from unnest('{n1,n2}'::text[]) x;
select pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null);
select pg_temp.eq(f::text, '(200,"Consumer c1 registered on queue q")') from pgq_node.register_consumer('q', 'c1', 'n1', 1) f;
select pg_temp.eq(f::text, '(201,"Consumer already registered: q/c1")') from pgq_node.register_consumer('q', 'c1', 'n2', 2) f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from pgq_node.register_consumer('zz', 'c1', 'n1', 1) f;
select pg_temp.fails($$ select pgq_node.register_consumer('q', 'c2', 'nx', 1) $$, '23503', '%');
select pg_temp.rows('select * from pgq_node.get_consumer_state(''q'', ''c1'')', '(100,Ok,root,n1,2,n2,dbname=n2,f,f,)');
select pg_temp.rows('select * from pgq_node.get_consumer_state(''q'', ''cx'')', '(404,"Unknown consumer: q/cx",root,n1,,,,,,)');
select pg_temp.rows('select * from pgq_node.get_consumer_state(''zz'', ''cx'')', '(404,"Unknown queue: zz",,,,,,,,)');

select pg_temp.eq(f::text, '(200,"Consumer uptodate = 1")') from pgq_node.set_consumer_uptodate('q', 'c1', true) f;
select pg_temp.eq(f::text, '(404,"Consumer not known: q/cx")') from pgq_node.set_consumer_uptodate('q', 'cx', true) f;
select pg_temp.eq(f::text, '(201,"Consumer c1 already resumed")') from pgq_node.set_consumer_paused('q', 'c1', false) f;
select pg_temp.rows('select * from pgq_node.get_consumer_info(''q'')', '(c1,n2,2,f,t,)|(w1,n1,1,f,f,)');
select pg_temp.eq(f::text, '(200,"Consumer c1 tagged as paused")') from pgq_node.set_consumer_paused('q', 'c1', true) f;
select pg_temp.rows('select * from pgq_node.get_consumer_info(''q'')', '(c1,n2,2,t,f,)|(w1,n1,1,f,f,)');
select pg_temp.eq(f::text, '(201,"Consumer c1 already paused")') from pgq_node.set_consumer_paused('q', 'c1', true) f;
select pg_temp.eq(f::text, '(200,"Consumer c1 tagged as resumed")') from pgq_node.set_consumer_paused('q', 'c1', false) f;
select pg_temp.eq(f::text, '(404,"Unknown consumer: cx")') from pgq_node.set_consumer_paused('q', 'cx', false) f;
select pg_temp.eq(f::text, '(200,"Consumer uptodate = 0")') from pgq_node.set_consumer_uptodate('q', 'c1', false) f;

select pgq_node.set_consumer_uptodate('q', 'c1', true);
select pg_temp.eq(f::text, '(200,"Consumer provider node set to : n1")') from pgq_node.change_consumer_provider('q', 'c1', 'n1') f;
select pg_temp.rows('select * from pgq_node.get_consumer_state(''q'', ''c1'')', '(100,Ok,root,n1,2,n1,dbname=n1,f,f,)');
select pg_temp.eq(f::text, '(404,"New node not found: nx")') from pgq_node.change_consumer_provider('q', 'c1', 'nx') f;
select pg_temp.eq(f::text, '(404,"Unknown consumer: q/cx")') from pgq_node.change_consumer_provider('q', 'cx', 'n1') f;

select pg_temp.eq(f::text, '(100,"Consumer c1 error = boom")') from pgq_node.set_consumer_error('q', 'c1', 'boom') f;
select pg_temp.eq(cur_error, 'boom') from pgq_node.get_consumer_state('q', 'c1');
select pg_temp.eq(f::text, '(100,"Consumer c1 completed tick = 5")') from pgq_node.set_consumer_completed('q', 'c1', 5) f;
select pg_temp.rows('select completed_tick, cur_error from pgq_node.get_consumer_state(''q'', ''c1'')', '(5,)');
select pgq_node.set_consumer_error('q', 'c1', 'boom');
select pg_temp.eq(f.ret_code::text, '100') from pgq_node.set_consumer_error('q', 'c1', null) f;
select pg_temp.eq(cur_error, null) from pgq_node.get_consumer_state('q', 'c1');
select pg_temp.eq(f::text, '(101,"Consumer not known, ignoring: q/cx")') from pgq_node.set_consumer_error('q', 'cx', 'x') f;
select pg_temp.eq(f::text, '(404,"Consumer not known: q/cx")') from pgq_node.set_consumer_completed('q', 'cx', 5) f;
select pg_temp.fails($$ select pgq_node.set_consumer_completed('q', 'c1', null) $$, '23502', '%');

select pg_temp.eq(f::text, '(200,"Consumer c1 unregistered from q")') from pgq_node.unregister_consumer('q', 'c1') f;
select pg_temp.eq(f::text, '(200,"Consumer c1 unregistered from q")') from pgq_node.unregister_consumer('q', 'c1') f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from pgq_node.unregister_consumer('zz', 'c1') f;
-- the worker gone: named in the state
select pgq_node.unregister_consumer('q', 'w1');
select pg_temp.eq(f.ret_code || f.ret_note || f.worker_name, '404Unknown consumer: q/w1w1') from pgq_node.get_worker_state('q') f;
