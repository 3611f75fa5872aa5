-- Locations: add, change, keep, forget; what the root tells the cascade.
\ir expect.psql
select pg_temp.eq(f::text, '(200,"Location registered")') from pgq_node.register_location('q', 'n1', 'dbname=n1', false) f;
-- no local node yet: nothing else happened
select pg_temp.rows('select * from pgq_node.get_queue_locations(''q'')', '(n1,dbname=n1,f)');
-- NULL location: keeps the old one, adds none
select pgq_node.register_location('q', 'n1', null, true);
select pgq_node.register_location('q', 'n9', null, true);
select pg_temp.rows('select * from pgq_node.get_queue_locations(''q'')', '(n1,dbname=n1,t)');
select pgq_node.register_location('q', 'n1', 'host=a dbname=n1', false);
select pg_temp.rows('select * from pgq_node.get_queue_locations(''q'')', '(n1,"host=a dbname=n1",f)');
select pg_temp.rows('select * from pgq_node.get_queue_locations(''other'')', null);
select pg_temp.eq(f::text, '(301,"Location not found: q/zz")') from pgq_node.unregister_location('q', 'zz') f;

select pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null);
select pgq_node.register_location('q', 'n2', 'dbname=n2', false);
select pgq_node.register_location('q', 'n2', null, true);
select pg_temp.eq(f::text, '(403,"Cannot drop node''s own location")') from pgq_node.unregister_location('q', 'n1') f;
-- a subscriber is unsubscribed on the way
select pgq_node.register_subscriber('q', 'n2', 'w2', null);
select pg_temp.eq(f::text, '(200,Ok)') from pgq_node.unregister_location('q', 'n2') f;
select pg_temp.rows('select * from pgq_node.get_subscriber_info(''q'')', null);
select pg_temp.rows('select consumer_name from pgq.get_consumer_info(''q'')', '(.global_watermark)');
select pg_temp.eq(f::text, '(301,"Location not found: q/n2")') from pgq_node.unregister_location('q', 'n2') f;
select pg_temp.rows('select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.event_template order by ev_id',
    '(pgq.location-info,n2,q,dbname=n2,false,)|(pgq.location-info,n2,q,,true,)'
    '|(pgq.unregister-location,n2,q,,,)|(pgq.unregister-location,n2,q,,,)');

-- the provider of the node, and of a consumer
select pgq_node.register_location('b', x, 'dbname=' || x, false) from unnest('{n1,n2,n3}'::text[]) x;
select pgq_node.create_node('b', 'branch', 'n2', 'bw', 'n1', 1, null);
select pg_temp.eq(f::text, '(403,"Cannot drop location of node''s parent")') from pgq_node.unregister_location('b', 'n1') f;
select pgq_node.register_consumer('b', 'bw.copy.t', 'n3', 5);
select pg_temp.eq(f.ret_code::text, '403') from pgq_node.unregister_location('b', 'n3') f;
select pg_temp.eq((f.ret_note like '%bw.copy.t%')::text, 'true') from pgq_node.unregister_location('b', 'n3') f;
select pgq_node.unregister_consumer('b', 'bw.copy.t');
select pg_temp.eq(f::text, '(200,Ok)') from pgq_node.unregister_location('b', 'n3') f;
-- a branch tells nobody
select pg_temp.rows('select 1 from pgq.event_template where ev_extra1 = ''b''', null);
