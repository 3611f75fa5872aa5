-- Creating, configuring and dropping queues; what uninstalling and installing again leaves.
do $$
begin
    assert pgq.create_queue('q') = 1;
    assert pgq.create_queue('q') = 0;
    begin
        perform pgq.create_queue('');
        raise 'accepted' using errcode = 'ZZ000';
    exception when invalid_name then null;
    end;
    assert pgq.version() = '4.0.0';

    -- awkward names
    assert pgq.create_queue('a "b''c\d.e ü') = 1;
    assert pgq.register_consumer('a "b''c\d.e ü', 'x"y''') = 1;
    assert pgq.insert_event('a "b''c\d.e ü', 't', 'd') = 1;
    assert pgq.drop_queue('a "b''c\d.e ü', true) = 1;
    assert not exists (select 1 from pgq.consumer where co_name = 'x"y''');

    -- the state sequence follows the row and goes with the queue
    assert pg_sequence_last_value('pgq.event_1_state_seq') = 0;
    assert to_regclass('pgq.event_2_state_seq') is null;
end $$;

-- 20 queues at once, dropped at once
select pgq.create_queue('many' || i) from generate_series(1, 20) i;
select pgq.drop_queue('many' || i) from generate_series(1, 20) i;
do $$ begin
    assert (select count(*) from pg_class where relnamespace = 'pgq'::regnamespace and relname ~ '^event_[0-9]+$') = 1;
end $$;
