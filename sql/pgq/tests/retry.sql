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
    _b := (select batch_id from pgq.next_batch_custom('q', 'a', null, 600, null));
    assert (select count(*) from pgq.get_batch_events(_b) where ev_id = 2) = 2;
    assert pgq.event_retry(_b, 2, 0) = 1;
    assert (select ev_retry from pgq.retry_queue where ev_id = 2) = 2;
    assert pgq.batch_retry(_b, 0) = 0;
end $$;

-- a queue that takes no events, and one that fails, hold up neither the others nor themselves for ever
select pgq.create_queue('closed'), pgq.create_queue('broken'), pgq.create_queue('small'), pgq.create_queue('good');
select pgq.register_consumer(q, 'c') from unnest('{closed,broken,small,good}'::text[]) q;
truncate pgq.retry_queue;
-- those that cannot be moved are the first, and more than one call takes
select pgq.event_retry_raw(q, 'c', now() - age::interval, null, now(), 1, 't', q || n, null, null, null, null)
  from (values ('closed', '3 hours'), ('broken', '2 hours'), ('small', '1 hour'), ('good', '1 minute')) v (q, age), generate_series(1, 12) n;
update pgq.queue set queue_disable_insert = true where queue_name = 'closed';
update pgq.queue set queue_per_tx_limit = 2 where queue_name = 'small';
select 'pgq.event_' || queue_id || '_0' as table from pgq.queue where queue_name = 'broken' \gset
create function fail() returns trigger language plpgsql as $$ begin if new.ev_data = 'broken1' then raise 'no'; end if; return new; end $$;
create trigger fail before insert on :table for each row execute function fail();
set client_min_messages = error;
do $$
declare
    _moved int;
    _calls int := 0;
begin
    loop
        _moved := pgq.maint_retry_events();
        exit when _moved = 0;
        assert _moved <= 10, _moved;
        _calls := _calls + 1;
    end loop;
    assert _calls < 10, _calls;
    assert (select array_agg(distinct ev_data) from pgq.retry_queue where ev_data !~ '^closed') = '{broken1}',
           (select string_agg(ev_data, ' ') from pgq.retry_queue);
    assert (select count(*) from pgq.retry_queue where ev_data ~ '^closed') = 12;
    assert (select ev_retry_after > now() from pgq.retry_queue where ev_data = 'broken1'), 'it is not the first any more';
    assert (select count(*) from pgq.event_template where ev_data ~ '^(small|good)[0-9]+$') = 24;
    assert (select count(*) from pgq.event_template where ev_data ~ '^broken[0-9]+$') = 11;
end $$;
reset client_min_messages;
drop trigger fail on :table;
update pgq.queue set queue_disable_insert = false where queue_name = 'closed';
update pgq.retry_queue set ev_retry_after = now();
do $$ begin
    assert pgq.maint_retry_events() = 10;
    assert pgq.maint_retry_events() = 3;
    assert not exists (select 1 from pgq.retry_queue);
end $$;
