-- cluster: own
-- Rotation: when it is due, what holds it, what it deletes.
select pgq.create_queue('q');
update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0';
select pgq.register_consumer('q', 'c');
create function cur() returns int language sql as $$ select queue_cur_table from pgq.queue where queue_name = 'q' $$;
create procedure tick() language plpgsql as $$ begin perform pgq.force_tick('q'); perform pgq.ticker(); end $$;
create procedure skip() language plpgsql as $$
declare _b int8;
begin
    loop
        _b := pgq.next_batch('q', 'c');
        exit when _b is null;
        perform pgq.finish_batch(_b);
    end loop;
end $$;

select pgq.maint_rotate_tables_step1('q');
do $$ begin assert cur() = 0, 'not due'; end $$;
update pgq.queue set queue_rotation_period = '0';
select pgq.insert_event('q', 't', 'kept');
select pgq.maint_rotate_tables_step1('q');
do $$ begin assert cur() = 0, 'the consumer is not past step 2'; end $$;
call tick(); call skip();
select pgq.maint_rotate_tables_step1('q');
do $$ begin assert cur() = 1; end $$;
select pgq.maint_rotate_tables_step1('q');
do $$ begin
    assert cur() = 1, 'half done';
    assert (select array_agg(func_name) from pgq.maint_operations() where func_name like 'pgq.%') = '{pgq.maint_rotate_tables_step2}';
end $$;
select pgq.insert_event('q', 't', 'between the steps');
select pgq.maint_rotate_tables_step2();
select pgq.insert_event('q', 't', 'after');
call tick();
do $$ begin
    perform pgq.next_batch('q', 'c');
    assert (select array_agg(ev_data order by ev_id) from pgq.get_batch_events((select sub_batch from pgq.subscription)))
           = array['between the steps', 'after'];
end $$;
select pgq.maint_rotate_tables_step1('q');
do $$ begin assert cur() = 1, 'an open batch holds it'; end $$;
call skip(); call tick(); call skip();

-- a lock on the next table: no waiting, no rotation
begin; lock table pgq.event_1_2 in access share mode; prepare transaction 'reader';
select pgq.maint_rotate_tables_step1('q');
do $$ begin assert cur() = 1; end $$;
rollback prepared 'reader';
select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2();
do $$ begin assert cur() = 2; end $$;
call tick(); call skip(); call tick(); call skip();
select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2();
do $$ begin
    assert cur() = 0;
    assert not exists (select 1 from pgq.event_1_0), 'emptied';
    assert (select min(tick_id) from pgq.tick) > 1, 'old ticks are gone';
end $$;

-- a table without a page is left as it is, unless it grows old
create function file(nr int) returns oid language sql as $$ select pg_relation_filenode('pgq.event_1_' || nr) $$;
create procedure rotate() language plpgsql as $$
begin
    perform pgq.maint_rotate_tables_step1('q');
    commit;
    perform pgq.maint_rotate_tables_step2();
    commit;
    call tick(); commit; call skip(); commit; call tick(); commit; call skip(); commit;
end $$;
create table files (used oid, unused oid);
call tick(); call skip(); call tick(); call skip();
call rotate(); call rotate();
insert into files select file(1), file(0);
do $$ begin
    assert cur() = 2;
    assert pg_relation_size('pgq.event_1_0') = 0;
    assert pg_relation_size('pgq.event_1_1') = 0;
end $$;
call rotate();
do $$ begin
    assert cur() = 0;
    assert (select unused = file(0) from files), 'an empty table keeps its file';
end $$;
begin; insert into pgq.event_1_1 (ev_id, ev_time) values (1, now()); rollback;
call rotate();
do $$ begin
    assert cur() = 1;
    assert (select used <> file(1) from files), 'what was rolled back is removed';
end $$;
insert into files select file(2), null;
set vacuum_freeze_min_age = 0;
call rotate();
do $$ begin
    assert cur() = 2;
    assert (select used <> file(2) from files where unused is null), 'an old table gets a new file';
end $$;
reset vacuum_freeze_min_age;

-- a position that is gone
update pgq.subscription set sub_last_tick = 0;
do $$ begin
    perform pgq.maint_rotate_tables_step1('q');
    raise 'rotated' using errcode = 'ZZ000';
exception when raise_exception then
    assert sqlerrm like 'queue q maint failure: tick 0 not found', sqlerrm;
end $$;
update pgq.queue set queue_switch_step1 = 1::int8 << 40;
do $$ begin
    perform pgq.maint_rotate_tables_step1('q');
    raise 'rotated' using errcode = 'ZZ000';
exception when raise_exception then
    assert sqlerrm like 'queue q maint failure: step1=%, current=%', sqlerrm;
end $$;
