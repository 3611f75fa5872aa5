-- Subscribers, their watermarks, the local, global and partition watermark.
\ir expect.psql
select pgq_node.register_location(q, x, 'dbname=' || x, false) from unnest('{n1,n2,n3}'::text[]) x, unnest('{q,b,l}'::text[]) q;
select pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null);
select pg_temp.eq(f::text, '(200,"Subscriber registered: n2",1)') from pgq_node.register_subscriber('q', 'n2', 'w2', null) f;
select pg_temp.fails($$ select pgq_node.register_subscriber('q', 'n2', 'w2', null) $$, '23505', 'node "n2" is already subscribed to queue "q"');
select pg_temp.fails($$ select pgq_node.register_subscriber('q', 'nx', 'w2', null) $$, '23503', 'location of node "nx"%');
select pg_temp.fails($$ select pgq_node.register_subscriber('q', 'n3', 'w3', 999) $$, null, '%tick not found%');
select pg_temp.eq(f::text, '(404,"Unknown queue: zz",)') from pgq_node.register_subscriber('zz', 'n2', 'w2', null) f;

-- a worker's name that is taken: by another node, a plain consumer, the mark of another node
select pgq.register_consumer_at('q', 'plain', 1);
select pg_temp.eq(f::text, '(403,"worker ""w2"" of node ""n2"" reads queue ""q"" here already: give job_name of node ""n3"" another value",)')
  from pgq_node.register_subscriber('q', 'n3', 'w2', null) f;
select pg_temp.eq(f.ret_code || ' ' || f.ret_note, '403 consumer "plain" reads queue "q" here already and is not the worker of node "n3": '
    'give job_name of node "n3" another value, or end it with pgq.unregister_consumer(''q'', ''plain'')')
  from pgq_node.register_subscriber('q', 'n3', 'plain', null) f;
select pg_temp.eq(f.ret_code::text, '403') from pgq_node.register_subscriber('q', 'n3', '.n2.watermark', null) f;
select pg_temp.rows('select consumer_name, last_tick from pgq.get_consumer_info(''q'')',
    '(.global_watermark,1)|(.n2.watermark,1)|(plain,1)|(w2,1)');
-- free again; and a consumer of that name in another queue is none of this one's
select pgq.unregister_consumer('q', 'plain'), pgq.create_queue('q2'), pgq.register_consumer('q2', 'plain');
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.register_subscriber('q', 'n3', 'plain', null) f;
-- once more after unregistering, with another name or the same
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.unregister_subscriber('q', 'n3') f;
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.register_subscriber('q', 'n3', 'w3', null) f;
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.unregister_subscriber('q', 'n3') f;
-- two nodes of one worker from a time when nobody refused that: either can leave
select pgq.register_consumer('q', '.n3.watermark');
insert into pgq_node.subscriber_info values ('q', 'n3', 'w2', '.n3.watermark');
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.unregister_subscriber('q', 'n3') f;
select pgq.drop_queue('q2', true);

select pg_temp.rows('select * from pgq_node.get_subscriber_info(''q'')', '(n2,w2,1)');
select pg_temp.rows('select consumer_name, last_tick from pgq.get_consumer_info(''q'')', '(.global_watermark,1)|(.n2.watermark,1)|(w2,1)');

update pgq.queue set queue_external_ticker = true where queue_name = 'q';
select pgq.ticker('q', 5, now(), 10), pgq.ticker('q', 6, now(), 11);
update pgq.queue set queue_external_ticker = false where queue_name = 'q';
select pg_temp.eq(f::text, '(200,".n2.watermark set to 5")') from pgq_node.set_subscriber_watermark('q', 'n2', 5) f;
select pg_temp.eq(f::text, '(100,"watermark already set")') from pgq_node.set_subscriber_watermark('q', 'n2', 5) f;
select pg_temp.eq(f::text, '(405,"watermark must not be moved backwards")') from pgq_node.set_subscriber_watermark('q', 'n2', 1) f;
select pg_temp.eq(f.ret_code::text, '405') from pgq_node.set_subscriber_watermark('q', 'n2', null) f;
select pg_temp.eq(f::text, '(404,"node nx not subscribed to queue q")') from pgq_node.set_subscriber_watermark('q', 'nx', 5) f;
select pg_temp.fails($$ select pgq_node.set_subscriber_watermark('q', 'n2', 7) $$, null, '%tick not found%');

-- local watermark: the slowest consumer, .global_watermark apart
select pg_temp.eq(local_watermark::text, '1') from pgq_node.get_node_info('q');
select pg_temp.eq(f::text, '(200,"Subscriber registered: n3",1)') from pgq_node.register_subscriber('q', 'n3', 'w3', 6) f;
select pgq_node.set_subscriber_watermark('q', 'n3', 6);
select pgq.register_consumer_at('q', 'w2', 6);
select pg_temp.eq(local_watermark::text, '5') from pgq_node.get_node_info('q');
select pg_temp.eq(f::text, '(200,"Global watermark set to 5")') from pgq_node.set_global_watermark('q', null) f;
select pg_temp.rows('select global_watermark, local_watermark, worker_last_tick from pgq_node.get_node_info(''q'')', '(5,5,6)');
select pg_temp.rows('select ev_type, ev_data, ev_extra1 from pgq.event_template', '(pgq.global-watermark,5,q)');
select pg_temp.fails($$ select pgq_node.set_global_watermark('q', 99) $$, null, '%tick not found%');
select pg_temp.eq(f::text, '(404,"Queue zz not found")') from pgq_node.set_global_watermark('zz', 1) f;
select pg_temp.eq(f::text, '(200,"Subscriber unregistered: n2")') from pgq_node.unregister_subscriber('q', 'n2') f;
select pg_temp.eq(f::text, '(304,"Subscriber not found")') from pgq_node.unregister_subscriber('q', 'n2') f;
select pg_temp.rows('select consumer_name from pgq.get_consumer_info(''q'')', '(.global_watermark)|(.n3.watermark)|(w3)');
-- nobody left: newest tick
select pgq_node.unregister_subscriber('q', 'n3');
select pg_temp.eq(local_watermark::text, '6') from pgq_node.get_node_info('q');

-- pgqd publishes only when nobody did for 5 minutes, and only where events are taken
select pgq_node.set_global_watermark('q', 5);
delete from pgq.event_template;
select pg_temp.eq(pgq_node.maint_watermark('q')::text || pgq_node.maint_watermark('zz'), '00');
select pg_temp.rows('select 1 from pgq.event_template', null);
update pgq.tick set tick_time = now() - interval '1 hour' where tick_id = 5;
update pgq.queue set queue_disable_insert = true where queue_name = 'q';
select pg_temp.eq(pgq_node.maint_watermark('q')::text, '0');
select pg_temp.eq(global_watermark::text, '5') from pgq_node.get_node_info('q');
update pgq.queue set queue_disable_insert = false where queue_name = 'q';
select pg_temp.eq(pgq_node.maint_watermark('q')::text, '0');
select pg_temp.eq(global_watermark::text, '6') from pgq_node.get_node_info('q');

-- branch and leaf
select pgq_node.create_node('b', 'branch', 'n2', 'bw', 'n1', 7, null);
select pg_temp.eq(f::text, '(500,"bad usage: wm=null on branch node")') from pgq_node.set_global_watermark('b', null) f;
select pg_temp.eq(f::text, '(200,"Skipping global watermark update to 8")') from pgq_node.set_global_watermark('b', 8) f;
select pg_temp.eq(global_watermark::text, '7') from pgq_node.get_node_info('b');
select pgq.ticker('b', 8, now(), 5);
select pg_temp.eq(f::text, '(200,"Global watermark set to 8")') from pgq_node.set_global_watermark('b', 8) f;
select pg_temp.rows('select global_watermark, worker_last_tick from pgq_node.get_node_info(''b'')', '(8,7)');
select pgq_node.create_node('l', 'leaf', 'n2', 'lw', 'n1', 3, 'b');
select pg_temp.eq(f::text, '(100,"Ignoring global watermark in leaf")') from pgq_node.set_global_watermark('l', 8) f;
select pg_temp.eq(f::text, '(401,"Cannot subscribe to leaf node",)') from pgq_node.register_subscriber('l', 'n3', 'w', null) f;
select pg_temp.eq(f::text, '(200,Ok)') from pgq_node.set_partition_watermark('b', 'l', 33) f;
select pg_temp.eq(local_watermark::text, '33') from pgq_node.get_node_info('l');
select pg_temp.eq(f::text, '(201,"Part-queue does not exist")') from pgq_node.set_partition_watermark('b', 'zz', 33) f;
select pg_temp.eq(f::text, '(201,"Part-queue does not exist")') from pgq_node.set_partition_watermark('q', 'l', 34) f;
select pgq_node.unregister_consumer('l', 'lw');
select pg_temp.eq(f::text, '(401,"Worker registration not found")') from pgq_node.set_partition_watermark('b', 'l', 33) f;
