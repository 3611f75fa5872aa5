-- insert_event: limits per transaction, savepoints, permission to insert.
select pgq.create_queue('q');
update pgq.queue set queue_per_tx_limit = 3;
begin;
select pgq.insert_event('q', 't', '1');
savepoint s;
select pgq.insert_event('q', 't', 'undone'), pgq.insert_event('q', 't', 'undone');
rollback to s;
select pgq.insert_event('q', 't', '2'), pgq.insert_event('q', 't', '3');
do $$ begin
    perform pgq.insert_event('q', 't', '4');
    raise 'accepted' using errcode = 'ZZ000';
exception when sqlstate 'PQ001' then
    assert sqlerrm = 'Queue ''q'' allows max 3 events from one TX', sqlerrm;
end $$;
commit;
-- a new transaction counts anew
select pgq.insert_event('q', 't', '5');
do $$ begin
    assert (select array_agg(ev_data order by ev_id) from pgq.event_1) = '{1,2,3,5}';
    assert (select count(distinct ev_txid) from pgq.event_1) = 2;
end $$;

-- the fast lane of bulk loaders
begin;
select pgq.current_event_table('q') as tbl \gset
copy :tbl (ev_time, ev_type, ev_data) from stdin;
2020-01-01 00:00+00	bulk	one
2020-01-01 00:00+00	bulk	two
\.
commit;
do $$ begin
    assert (select count(*) from pgq.event_1 where ev_type = 'bulk' and ev_txid is not null and ev_id > 0) = 2;
end $$;

-- a queue row written by the original's functions, without a state sequence, cannot exist: the trigger makes it
insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq, queue_disable_insert)
    values (77, 'by hand', 'pgq.event_77', 'pgq.event_77_id_seq', 'pgq.event_77_tick_seq', true);
do $$ begin
    assert pg_sequence_last_value('pgq.event_77_state_seq') = 1;
end $$;
