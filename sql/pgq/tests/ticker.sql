-- cluster: own
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

-- on demand: as soon as an event waits
do $$
declare
    _newest int8 := pgq.tick_on_demand('q');
begin
    assert _newest = (select max(tick_id) from pgq.tick where tick_queue = 1);
    perform pgq.insert_event('q', 't', 'now');
    perform backdate('1 second');
    assert pgq.ticker('q') is null, 'not due';
    assert pgq.tick_on_demand('q') = _newest + 1;
    perform backdate('1 second');
    assert pgq.tick_on_demand('q') = _newest + 1, 'nothing waits';
    perform pgq.insert_event('q', 't', 'not yet');
    update pgq.tick set tick_time = clock_timestamp() where tick_id = _newest + 1 and tick_queue = 1;
    assert pgq.tick_on_demand('q') = _newest + 1, 'the last tick is too young';
    update pgq.tick set tick_time = clock_timestamp() - '1 second'::interval where tick_id = _newest + 1 and tick_queue = 1;
    update pgq.queue set queue_ticker_paused = true where queue_name = 'q';
    assert pgq.tick_on_demand('q') = _newest + 1, 'paused';
    update pgq.queue set queue_ticker_paused = false, queue_external_ticker = true where queue_name = 'q';
    assert pgq.tick_on_demand('q') = _newest + 1, 'ticked by somebody else';
    update pgq.queue set queue_external_ticker = false where queue_name = 'q';
    assert pgq.tick_on_demand('q') = _newest + 2;
    begin
        perform pgq.tick_on_demand('nope');
        assert false;
    exception when raise_exception then
        assert sqlerrm = 'no such queue';
    end;
end $$;

-- a transaction that keeps its snapshot
insert into pgq.tick (tick_queue, tick_id, tick_event_seq) select 1, nextval('pgq.event_1_tick_seq'), pgq.seq_getval('pgq.event_1_id_seq');
select pgq.force_tick('q');
begin isolation level repeatable read;
do $$
declare
    _newest int8 := (select max(tick_id) from pgq.tick where tick_queue = 1);
begin
    perform nextval('pgq.event_1_tick_seq'), nextval('pgq.event_1_tick_seq');
    assert pgq.tick_on_demand('q') = _newest;
    assert pgq.ticker('q') = _newest + 3, 'numbers that nobody uses are in nobody''s way';
    assert (select count(*) from pgq.tick where tick_queue = 1 and tick_id > _newest) = 1;
    perform pgq.create_queue('another');
    assert pgq.drop_queue('another') = 1;
end $$;
commit;

-- a tick of a clock that was ahead
update pgq.tick set tick_time = now() + '1 day'::interval where tick_queue = 1 and tick_id = (select max(tick_id) from pgq.tick where tick_queue = 1);
do $$
declare
    _newest int8 := (select max(tick_id) from pgq.tick where tick_queue = 1);
begin
    assert pgq.ticker('q') = _newest + 1, 'nothing new, but who knows when';
    update pgq.tick set tick_time = now() + '1 day'::interval where tick_queue = 1 and tick_id = _newest + 1;
    perform pgq.insert_event('q', 't', 'ahead');
    assert pgq.tick_on_demand('q') = _newest + 2, 'on demand';
    assert pgq.ticker('q') is null, 'goes on as usual';
end $$;

-- a limit that is never reached
select pgq.set_queue_config('q', 'ticker_max_count', '2000000000');
do $$ begin
    assert pgq.force_tick('q') is not null;
    assert pgq.ticker('q') is not null, 'forced';
end $$;
select pgq.set_queue_config('q', 'ticker_max_count', '500');

select pgq.create_queue('broken'), pgq.create_queue('z');
do $$ begin
    execute 'drop sequence ' || (select queue_tick_seq from pgq.queue where queue_name = 'broken');
end $$;
update pgq.tick set tick_time = tick_time - '1 hour'::interval;
\set VERBOSITY terse
do $$ begin
    assert pgq.ticker() = 2, 'the other two tick';
end $$;

-- as long as none fails, all ticks together use up one id, and one for what is undone if one does
create sequence pgq.event_3_tick_seq;
select pgq.drop_queue('broken');
select pgq.create_queue('many ' || n) from generate_series(1, 70) n;
update pgq.tick set tick_time = tick_time - '1 hour'::interval;
create table used (before int8);
insert into used values (txid_current());
do $$ begin assert pgq.ticker() = 72; end $$;
do $$ begin assert txid_current() - (select before from used) = 3, txid_current() - (select before from used); end $$;
select pgq.drop_queue('many ' || n) from generate_series(1, 70) n;

-- a queue that sleeps consumes no transaction ids
do $$
declare
    _before int8;
begin
    perform pgq.drop_queue('z');
    assert txid_current_if_assigned() is not null;
end $$;
begin;
select pgq.ticker('q'), pgq.tick_on_demand('q');
do $$ begin assert txid_current_if_assigned() is null; end $$;
commit;

-- a tick is flushed, and what comes before it, also where nobody waits for that
set synchronous_commit = off;
begin;
do $$
begin
    perform pgq.tick_on_demand('q');
    assert current_setting('synchronous_commit') = 'off', 'no tick, no flush';
    perform pgq.insert_event('q', 't', 'x');
end $$;
commit;
begin;
do $$
declare
    _before int8 := (select max(tick_id) from pgq.tick where tick_queue = 1);
begin
    assert pgq.tick_on_demand('q') > _before;
    assert current_setting('synchronous_commit') = 'local', 'on demand';
end $$;
commit;
do $$
begin
    assert current_setting('synchronous_commit') = 'off', 'of the transaction only';
    perform pgq.force_tick('q');
    assert pgq.ticker('q') is not null;
    assert current_setting('synchronous_commit') = 'local', 'ticker';
end $$;
set synchronous_commit = remote_write;
do $$
begin
    perform pgq.force_tick('q');
    assert pgq.ticker('q') is not null;
    assert current_setting('synchronous_commit') = 'remote_write', 'what waits for more is left alone';
end $$;
reset synchronous_commit;

-- an event sequence that was set back: numbers come twice, and consumers would have new events before older ones
do $$
declare
    _newest int8 := (select max(tick_id) from pgq.tick where tick_queue = 1);
    _last int8 := (select tick_event_seq from pgq.tick where tick_queue = 1 order by tick_id desc limit 1);
    _told text;
begin
    perform setval('pgq.event_1_id_seq', 5);
    update pgq.tick set tick_time = now() - '1 hour'::interval where tick_queue = 1;
    assert pgq.tick_on_demand('q') = _newest;
    begin
        perform pgq.ticker('q');
        raise 'ticked' using errcode = 'ZZ000';
    exception when raise_exception then
        _told := sqlerrm;
    end;
    assert _told like 'Invalid PgQ state: sequence pgq.event_1_id_seq of queue "q" is at 5, but its last tick knows of event ' || _last || ':%', _told;
    execute substring(_told from 'or: (.*)$');
    assert pgq.seq_getval('pgq.event_1_id_seq') = _last;
    assert pgq.ticker('q') = _newest + 1;
end $$;
