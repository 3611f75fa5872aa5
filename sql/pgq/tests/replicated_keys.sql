-- Logical replication of all tables brings a row of the key before the row that it belongs to; the first copy of the tables in any order.
select pgq.create_queue('q'), pgq.register_consumer('q', 'a');
select pgq_ext.set_batch_done('c', 1);
create function keys() returns text language sql as $$ select string_agg(sub_consumer || ' ' || sub_id, ',' order by sub_consumer) from pgq.subscription_key $$;
set session_replication_role = replica;
insert into pgq.consumer (co_id, co_name) values (77, 'b');
insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id) values (1, 77, 9);
insert into pgq.subscription (sub_id, sub_queue, sub_consumer, sub_last_tick) values (9, 1, 77, 1);
do $$ begin assert keys() = '1 1,77 9', keys(); end $$;
-- changed: the old key goes, the new one comes, then the row
delete from pgq.subscription_key where sub_consumer = 77;
insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id) values (1, 77, 1);
update pgq.subscription set sub_id = 1 where sub_consumer = 77;
do $$ begin assert keys() = '1 1,77 1', keys(); end $$;
delete from pgq.subscription_key where sub_consumer = 77;
delete from pgq.subscription where sub_consumer = 77;
do $$ begin assert keys() = '1 1', keys(); end $$;
insert into pgq_ext.position_key (table_name, consumer_id, subconsumer_id) values ('completed_tick', 'd', '');
insert into pgq_ext.completed_tick (consumer_id, subconsumer_id, last_tick_id) values ('d', '', 5);
insert into pgq_node.node_location values ('n', 'x', 'dbname=x', false);
insert into pgq_node.node_info (queue_name, node_type, node_name, worker_name) values ('n', 'root', 'x', 'w');
insert into pgq_node.local_state_key (queue_name, consumer_name) values ('n', 'e');
insert into pgq_node.local_state (queue_name, consumer_name, provider_node, last_tick_id) values ('n', 'e', 'x', 1);
-- the rows first, then those of the key, which are left out; an update that changes no key leaves it alone
insert into pgq.consumer (co_id, co_name) values (78, 'f');
insert into pgq.subscription (sub_id, sub_queue, sub_consumer, sub_last_tick) values (10, 1, 78, 1);
insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id) values (1, 78, 10);
insert into pgq_node.local_state (queue_name, consumer_name, provider_node, last_tick_id) values ('n', 'f', 'x', 1);
insert into pgq_node.local_state_key (queue_name, consumer_name) values ('n', 'f'), ('n', 'g');
insert into pgq_ext.completed_batch (consumer_id, subconsumer_id, last_batch_id) values ('f', '', 5);
insert into pgq_ext.position_key (table_name, consumer_id, subconsumer_id) values ('completed_batch', 'f', ''), ('completed_batch', 'g', '');
create temp table place as select ctid as at from pgq.subscription_key where sub_consumer = 78;
update pgq.subscription set sub_id = sub_id, sub_last_tick = 2 where sub_consumer = 78;
do $$ begin
    assert keys() = '1 1,78 10', keys();
    assert (select k.ctid = at from pgq.subscription_key k, place where sub_consumer = 78), 'the key was written again';
    assert (select string_agg(consumer_name, ',' order by 1) = 'e,f,g' from pgq_node.local_state_key);
    assert (select string_agg(consumer_id, ',' order by 1) = 'c,f,g' from pgq_ext.position_key where table_name = 'completed_batch');
end $$;
delete from pgq.subscription where sub_consumer = 78;
delete from pgq_node.local_state where consumer_name = 'f';
do $$ begin
    assert keys() = '1 1', keys();
    assert (select string_agg(consumer_name, ',' order by 1) = 'e,g' from pgq_node.local_state_key);
end $$;
-- who writes here is still told
set session_replication_role = origin;
do $$ begin
    insert into pgq.subscription (sub_id, sub_queue, sub_consumer, sub_last_tick) values (9, 1, 1, 1);
    raise 'twice' using errcode = 'ZZ000';
exception when unique_violation then null; end $$;
do $$ begin assert pgq_ext.get_last_tick('d') = 5; end $$;
do $$ begin
    insert into pgq_node.local_state (queue_name, consumer_name, provider_node, last_tick_id) values ('n', 'e', 'x', 1);
    raise 'twice' using errcode = 'ZZ000';
exception when unique_violation then null; end $$;
