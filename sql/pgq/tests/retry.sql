-- Redelivery: to the owner alone, counted, and of an event that is in a batch twice.
select pgq.create_queue('q');
update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0';
select pgq.register_consumer('q', 'a'), pgq.register_consumer('q', 'b');
select pgq.insert_event('q', 't', 'x'), pgq.insert_event('q', 't', 'y');
select pgq.force_tick('q'); select pgq.ticker();
do $$ begin
    assert pgq.next_batch('q', 'a') = 1;
    assert pgq.event_retry(1, 1, 0) = 1;
    assert pgq.event_retry(1, 1, 0) = 0;
    assert pgq.batch_retry(1, 0) = 1;
end $$;
select pgq.maint_retry_events();
select pgq.force_tick('q'); select pgq.ticker();
select pgq.finish_batch(1);
do $$
declare
    _b int8 := pgq.next_batch('q', 'a');
begin
    assert (select array_agg(ev_id || ':' || ev_retry order by ev_id) from pgq.get_batch_events(_b)) = '{1:1,2:1}';
    assert pgq.event_retry(_b, 1, 0) = 1;
    assert (select ev_retry from pgq.retry_queue where ev_id = 1) = 2;
    _b := (select cur_tick_id from pgq.next_batch_custom('q', 'b', null, 1, null));
    _b := pgq.next_batch('q', 'b');
    assert (select array_agg(ev_id order by ev_id) from pgq.get_batch_events(_b)) = '{1,2}', 'b saw the retries of a';
end $$;
-- both copies in one batch
select pgq.register_consumer_at('q', 'a', 1);
do $$
declare
    _b int8;
begin
    _b := (select batch_id from pgq.next_batch_custom('q', 'a', null, 3000, null));
    assert (select count(*) from pgq.get_batch_events(_b) where ev_id = 2) = 2;
    assert pgq.event_retry(_b, 2, 0) = 1;
    assert (select ev_retry from pgq.retry_queue where ev_id = 2) = 2;
    assert pgq.batch_retry(_b, 0) = 0;
end $$;
