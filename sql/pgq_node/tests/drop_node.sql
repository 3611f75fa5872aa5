-- drop_node: own node, other nodes, provider, repetition; what must survive.
\ir expect.psql
select pgq_node.register_location(q, x, 'dbname=' || x, false) from unnest('{n1,n2,n3}'::text[]) x, unnest('{q,b,l}'::text[]) q;
select pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null);
select pgq_node.register_subscriber('q', 'n2', 'w2', null);
select pgq_node.register_consumer('q', 'extra', 'n1', 1);
-- another node: unsubscribed, forgotten
select pg_temp.eq(f::text, '(200,"Node dropped: n2")') from pgq_node.drop_node('q', 'n2') f;
select pg_temp.rows('select * from pgq_node.get_subscriber_info(''q'')', null);
select pg_temp.rows('select node_name from pgq_node.get_queue_locations(''q'')', '(n1)|(n3)');
select pg_temp.eq(f::text, '(200,"Node dropped: nonexistent")') from pgq_node.drop_node('q', 'nonexistent') f;
-- itself, subscribers and consumers included
select pgq_node.register_subscriber('q', 'n3', 'w3', null);
select pg_temp.eq(f::text, '(200,"Node dropped: n1")') from pgq_node.drop_node('q', 'n1') f;
select pg_temp.rows('select queue_name from pgq.queue', null);
select pg_temp.rows('select * from pgq_node.node_location where queue_name = ''q''', null);
select pg_temp.rows('select * from pgq_node.local_state', null);
select pg_temp.rows('select * from pgq_node.subscriber_info', null);
select pg_temp.eq(f::text, '(200,"Node dropped: n1")') from pgq_node.drop_node('q', 'n1') f;

-- the provider cannot go
select pgq_node.create_node('b', 'branch', 'n2', 'bw', 'n1', 7, null);
select pg_temp.eq(f::text, '(405,"Cannot drop provider node: n1")') from pgq_node.drop_node('b', 'n1') f;
select pgq_node.register_consumer('b', 'bw.copy.t', 'n3', 7);
select pg_temp.eq(f.ret_code::text, '403') from pgq_node.drop_node('b', 'n3') f;
select pgq_node.unregister_consumer('b', 'bw.copy.t');
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.drop_node('b', 'n3') f;

-- a leaf owns no queue, and no node owns none at all: queues of that name are somebody else's
select pgq.create_queue('l'), pgq.create_queue('plain');
select pgq_node.create_node('l', 'leaf', 'n2', 'lw', 'n1', 3, null);
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.drop_node('l', 'n2') f;
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.drop_node('plain', 'n2') f;
select pg_temp.rows('select queue_name from pgq.queue order by 1', '(b)|(l)|(plain)');
select pg_temp.rows('select queue_name from pgq_node.node_info order by 1', '(b)');
