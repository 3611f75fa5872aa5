-- cluster: own
-- Which events a batch holds, with transactions that stay open over ticks.
select pgq.create_queue('q');
update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0';
select pgq.register_consumer('q', 'c');

create function tick_and_read() returns text[] language plpgsql as $$
declare
    _batch int8;
    _all text[];
    _again text[];
begin
    perform pgq.force_tick('q');
    perform pgq.ticker();
    _batch := pgq.next_batch('q', 'c');
    select array_agg(ev_data) into _all from pgq.get_batch_events(_batch);
    assert pgq.next_batch('q', 'c') = _batch;
    select array_agg(ev_data) into _again from pgq.get_batch_events(_batch);
    assert _all is not distinct from _again;
    perform pgq.finish_batch(_batch);
    return coalesce(_all, '{}');
end $$;

-- two stragglers: one far below the next tick (named), one near it (range)
begin; select pgq.insert_event('q', 't', 'far'); prepare transaction 'far';
do $$ begin for i in 1..150 loop begin perform txid_current(); create temp table x (); drop table x; exception when others then raise; end; end loop; end $$;
begin; select pgq.insert_event('q', 't', 'near'); prepare transaction 'near';
select pgq.insert_event('q', 't', 'plain');
do $$ begin assert tick_and_read() = '{plain}'; end $$;
commit prepared 'far'; commit prepared 'near';
begin; select pgq.insert_event('q', 't', 'rolled back'); rollback;
do $$ begin assert tick_and_read() = '{far,near}'; end $$;
do $$ begin assert tick_and_read() = '{}'; end $$;

-- events of the transaction that ticks come exactly once
begin;
select pgq.insert_event('q', 't', 'own before');
select pgq.force_tick('q'); select pgq.ticker();
select pgq.insert_event('q', 't', 'own after');
commit;
do $$ declare _seen text[] := '{}'; begin
    for i in 1..3 loop _seen := _seen || tick_and_read(); end loop;
    assert _seen = array['own before', 'own after'], _seen::text;
end $$;
