-- When a tick is due, and that one failing queue keeps no other from ticking.
select pgq.create_queue('q');
create function backdate(_by interval) returns void language sql as $$ update pgq.tick set tick_time = tick_time - _by where tick_queue = 1 $$;
do $$
begin
    assert pgq.ticker('q') is not null, 'one tick only: tick';
    assert pgq.ticker('q') is null;
    perform pgq.insert_event('q', 't', i::text) from generate_series(1, 10) i;
    assert pgq.ticker('q') is null, 'neither count nor lag';
    perform backdate('2 seconds');
    assert pgq.ticker('q') is null;
    perform backdate('2 seconds');
    assert pgq.ticker('q') is not null, 'max_lag';
    perform pgq.insert_event('q', 't', i::text) from generate_series(1, 500) i;
    assert pgq.ticker('q') is not null, 'max_count';
    -- idle: the gap to the tick before is 0 or more, so after max_lag / 2
    assert pgq.ticker('q') is null;
    perform backdate('1.6 seconds');
    assert pgq.ticker('q') is not null;
    perform backdate('2 seconds');
    assert pgq.ticker('q') is null, 'spacing doubles';
    perform backdate('2 seconds');
    assert pgq.ticker('q') is not null;
end $$;

select pgq.create_queue('broken'), pgq.create_queue('z');
drop sequence pgq.event_2_tick_seq;
update pgq.tick set tick_time = tick_time - '1 hour'::interval;
\set VERBOSITY terse
do $$ begin
    assert pgq.ticker() = 2, 'the other two tick';
end $$;

-- a queue that sleeps consumes no transaction ids
do $$
declare
    _before int8;
begin
    perform pgq.drop_queue('z');
    assert txid_current_if_assigned() is not null;
end $$;
begin;
select pgq.ticker('q');
do $$ begin assert txid_current_if_assigned() is null; end $$;
commit;
