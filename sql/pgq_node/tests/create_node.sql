-- create_node: every type, every refusal, and nothing left behind by a refusal.
\ir expect.psql
select pgq_node.register_location(q, x, 'dbname=' || x, false) from unnest('{n1,n2}'::text[]) x, unnest('{q,b,l,m}'::text[]) q;

select pg_temp.eq(f::text, '(401,"unexpected args for root")') from pgq_node.create_node('q', 'root', 'n1', 'w', 'n2', null, null) f;
select pg_temp.eq(f::text, '(401,"unexpected args for root")') from pgq_node.create_node('q', 'root', 'n1', 'w', null, 1, null) f;
select pg_temp.eq(f::text, '(401,"unexpected args for root")') from pgq_node.create_node('q', 'root', 'n1', 'w', null, null, 'x') f;
select pg_temp.eq(f::text, '(401,"provider not set for branch")') from pgq_node.create_node('q', 'branch', 'n1', 'w', null, 1, null) f;
select pg_temp.eq(f::text, '(401,"global watermark not set for branch")') from pgq_node.create_node('q', 'branch', 'n1', 'w', 'n2', null, null) f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', 'branch', 'n1', 'w', 'n2', 1, 'x') f;
select pg_temp.eq(f::text, '(401,"non-existing queue on leaf side: x")') from pgq_node.create_node('q', 'leaf', 'n1', 'w', 'n2', 1, 'x') f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', 'leaf', 'n1', 'w', null, 1, null) f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', 'leaf', 'n1', 'w', 'n2', null, null) f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', 'twig', 'n1', 'w', 'n2', 1, null) f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', null, 'n1', 'w', 'n2', 1, null) f;
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('q', 'root', 'n1', null, null, null, null) f;
select pg_temp.fails($$ select pgq_node.create_node('q', 'root', 'nx', 'w', null, null, null) $$, '23503', 'location of node "nx" is not known%');
select pg_temp.fails($$ select pgq_node.create_node('q', 'leaf', 'n1', 'w', 'nx', 1, null) $$, '23503', 'location of node "nx" is not known%');
select pg_temp.rows('select queue_name from pgq.queue', null);
select pg_temp.rows('select * from pgq_node.node_info', null);

select pg_temp.eq(f::text, '(200,"Node ""n1"" initialized for queue ""q"" with type ""root""")')
  from pgq_node.create_node('q', 'root', 'n1', 'w', null, null, null) f;
select pg_temp.eq(f::text, '(401,"Node already initialized")') from pgq_node.create_node('q', 'root', 'n1', 'w', null, null, null) f;
select pg_temp.rows('select queue_external_ticker, queue_disable_insert from pgq.queue where queue_name = ''q''', '(f,f)');
select pg_temp.rows('select * from pgq_node.get_consumer_info(''q'')', '(w,n1,1,f,f,)');
select pg_temp.rows('select * from pgq_node.get_node_info(''q'')', '(100,Ok,root,n1,1,1,n1,dbname=n1,,,w,f,f,1,,)');
select pg_temp.rows('select * from pgq_node.get_worker_state(''q'')', '(100,Ok,root,n1,1,n1,dbname=n1,f,f,,w,1,1,1,,)');

select pg_temp.eq(f.ret_code::text, '200') from pgq_node.create_node('b', 'branch', 'n2', 'bw', 'n1', 7, null) f;
select pg_temp.rows('select queue_external_ticker, queue_disable_insert from pgq.queue where queue_name = ''b''', '(t,t)');
select pg_temp.rows('select t.tick_id, t.tick_event_seq from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = ''b'' order by 1', '(1,1)|(7,1)');
select pg_temp.rows('select * from pgq_node.get_node_info(''b'')', '(100,Ok,branch,n2,7,7,n1,dbname=n1,,,bw,f,f,7,,)');
select pg_temp.fails($$ select pgq.insert_event('b', 't', 'd') $$, null, '%disallow%');

-- leafs: own queue none, merged into a root and into a branch
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.create_node('l', 'leaf', 'n2', 'lw', 'n1', 3, 'q') f;
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.create_node('m', 'leaf', 'n2', 'mw', 'n1', 4, 'b') f;
select pg_temp.rows('select queue_name from pgq.queue order by 1', '(b)|(q)');
select pg_temp.rows('select * from pgq_node.get_node_info(''l'')', '(100,Ok,leaf,n2,,3,n1,dbname=n1,q,root,lw,f,f,3,,)');
select pg_temp.rows('select * from pgq_node.get_worker_state(''m'')', '(100,Ok,leaf,n2,4,n1,dbname=n1,f,f,,mw,,4,,b,branch)');
select pg_temp.eq(target_for::text, '{l}') from pgq_node.get_node_info('q');
select pg_temp.eq(target_for::text, '{m}') from pgq_node.get_node_info('b');
-- a leaf is nobody's combined queue
select pg_temp.eq(f.ret_code::text, '401') from pgq_node.create_node('z', 'leaf', 'n2', 'zw', 'n1', 4, 'l') f;

select pg_temp.rows('select pgq_node.is_root_node(''q''), pgq_node.is_root_node(''b''), pgq_node.is_leaf_node(''l''), pgq_node.is_leaf_node(''q'')', '(t,f,t,f)');
select pg_temp.fails('select pgq_node.is_root_node(''zz'')', null, 'queue does not exist: zz');
select pg_temp.fails('select pgq_node.is_leaf_node(''zz'')', null, 'queue does not exist: zz');
select pg_temp.eq(f::text, '(200,"Node attributes updated")') from pgq_node.set_node_attrs('q', 'sync_watermark=n2') f;
select pg_temp.eq(node_attrs, 'sync_watermark=n2') from pgq_node.get_node_info('q');
select pg_temp.eq(f::text, '(404,"Node not found")') from pgq_node.set_node_attrs('zz', 'x') f;
select pg_temp.eq(left(f.ret_note, 20) || f.ret_code, 'Unknown queue: zz404') from pgq_node.get_node_info('zz') f;
select pg_temp.eq(f.ret_note || f.ret_code, 'Unknown queue: zz404') from pgq_node.get_worker_state('zz') f;
select pg_temp.eq(f.ret_note || f.ret_code, 'Unknown queue: NULL404') from pgq_node.get_worker_state(null) f;
select pg_temp.eq(pgq_node.version(), '4.0.0');
select pg_temp.eq(pgq_node.upgrade_schema()::text, '0');
alter table pgq_node.node_info drop column node_attrs;
select pg_temp.eq(pgq_node.upgrade_schema()::text, '1');
