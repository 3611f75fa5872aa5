-- The code generated for pgq.insert_event: it declines whatever is out of the ordinary, follows every change, is never needed.
\set ON_ERROR_STOP 1
\set VERBOSITY terse

create function pg_temp.same(what text, got text, expected text) returns void as $$
begin
    if got is distinct from expected then
        raise exception '%: % instead of %', what, got, expected;
    end if;
end $$ language plpgsql;
-- inserts through the generated code only: null when that leaves the event to pgq.insert_event_raw
alter function pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text) rename to the_slow_way;
create function pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text) returns bigint as $$
begin
    if current_setting('test.direct', true) = 'on' then
        return null;
    end if;
    return pgq.the_slow_way($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
end;
$$ language plpgsql;
create function pg_temp.direct(q text) returns bigint as $$
    select pgq._insert_tree_0(q, now(), 't', 'd', null, null, null, null, null);
$$ language sql volatile set test.direct = 'on';

select pg_temp.same('no queue yet', pg_temp.direct('q')::text, null);
select pgq.create_queue('q');
select pgq.create_queue(E'it''s; $code$ "odd" \\ %L');
select pg_temp.same('used', pg_temp.direct('q')::text, '1');
select pg_temp.same('odd name', pg_temp.direct(E'it''s; $code$ "odd" \\ %L')::text, '1');
select pg_temp.same('odd name', pgq.insert_event(E'it''s; $code$ "odd" \\ %L', 'a', 'b')::text, '2');
select pg_temp.same('no queue', pg_temp.direct('nobody')::text, null);
select pg_temp.same('NULL', pg_temp.direct(null)::text, null);

-- every event table, through a change of the current one
begin;
update pgq.queue set queue_cur_table = 1 where queue_name = 'q';
select pg_temp.same('change under way', pg_temp.direct('q')::text, null);
select pg_temp.same('all the same', pgq.insert_event('q', 'x', 'y')::text, '2');
commit;
select pg_temp.same('not settled', pg_temp.direct('q')::text, null);
select pgq.ticker();
select pg_temp.same('settled', pg_temp.direct('q')::text, '3');
select pg_temp.same('where they are', string_agg(tableoid::regclass || ':' || ev_id, ' ' order by ev_id), 'pgq.event_1_0:1 pgq.event_1_1:2 pgq.event_1_1:3') from pgq.event_1;
update pgq.queue set queue_cur_table = 2 where queue_name = 'q';
select pgq.ticker();
select pg_temp.same('third', pg_temp.direct('q')::text, '4');
select pg_temp.same('third', count(*)::text, '1') from pgq.event_1_2;

-- refused without a number drawn; pgq.insert_event draws it as ever
update pgq.queue set queue_disable_insert = true where queue_name = 'q';
select pgq.ticker();
select pg_temp.same('disabled', pg_temp.direct('q')::text, null);
do $$ begin perform pgq.insert_event('q', 'a', 'b'); raise exception 'accepted'; exception when object_not_in_prerequisite_state then null; end $$;
update pgq.queue set queue_disable_insert = false where queue_name = 'q';
select pgq.ticker();
select pg_temp.same('enabled, one number lost', pg_temp.direct('q')::text, '6');

-- a limit
update pgq.queue set queue_per_tx_limit = 1 where queue_name = 'q';
select pg_temp.same('limited', pg_temp.direct('q')::text, null);
begin;
select pgq.insert_event('q', 'a', 'b');
do $$ begin perform pgq.insert_event('q', 'a', 'b'); raise exception 'accepted'; exception when sqlstate 'PQ001' then null; end $$;
rollback;
do $$ begin perform pgq.insert_events('q', array['a', 'b'], array['a', 'b']); raise exception 'accepted'; exception when sqlstate 'PQ001' then null; end $$;
update pgq.queue set queue_per_tx_limit = null where queue_name = 'q';
select pg_temp.same('no limit', (pg_temp.direct('q') is not null)::text, 'true');

-- other names and tables
update pgq.queue set queue_name = 'renamed' where queue_name = 'q';
select pg_temp.same('old name', pg_temp.direct('q')::text, null);
select pg_temp.same('new name', (pg_temp.direct('renamed') is not null)::text, 'true');
create table pgq.event_1_3 () inherits (pgq.event_1);
alter table pgq.event_1_3 alter ev_id set default nextval('pgq.event_1_id_seq');
update pgq.queue set queue_ntables = 4 where queue_name = 'renamed';
update pgq.queue set queue_cur_table = 3 where queue_name = 'renamed';
select pgq.ticker();
select pg_temp.same('fourth', (pg_temp.direct('renamed') is not null)::text, 'true');
select pg_temp.same('fourth', count(*)::text, '1') from pgq.event_1_3;

-- not our sequence, as in a restored dump: it may carry a state that its rows never had
alter sequence pgq.event_1_state_seq rename to other;
create sequence pgq.event_1_state_seq minvalue 0;
select setval('pgq.event_1_state_seq', 0);
select pg_temp.same('restored', pg_temp.direct('renamed')::text, null);
select pg_temp.same('restored', (pgq.insert_event('renamed', 'a', 'b') is not null)::text, 'true');
select pg_temp.same('by its row', count(*)::text, '2') from pgq.event_1_3;
select setval('pgq.event_1_state_seq', 6);
select pgq.refresh_queue_code('renamed');
select pg_temp.same('repaired', (pg_temp.direct('renamed') is not null)::text, 'true');
drop sequence pgq.other;

-- in every isolation level, and an event that is not written is an error
begin isolation level serializable;
select pg_temp.same('serializable', (pg_temp.direct('renamed') is not null)::text, 'true');
commit;
do $$ begin
    perform set_config('test.direct', 'on', true), pgq.insert_event('nobody', 'a', 'b');
    raise exception 'accepted';
exception when null_value_not_allowed then null; end $$;

-- a tree of one storey, and of two; names that share a leaf
do $$ begin for i in 1 .. 40 loop perform pgq.create_queue('queue ' || i); end loop; end $$;
select pg_temp.same('leaves', count(*)::text, '16') from pg_proc where proname like '\_insert\_leaf%';
select pg_temp.same('all of them', count(pg_temp.direct(queue_name))::text, '42') from pgq.queue;
do $$ begin for i in 41 .. 550 loop perform pgq.create_queue('queue ' || i); end loop; end $$;
select pg_temp.same('leaves', count(*)::text, '256') from pg_proc where proname like '\_insert\_leaf%';
select pg_temp.same('all of them', count(pg_temp.direct(queue_name))::text, '552') from pgq.queue;
select pg_temp.same('each its own', count(*)::text, '0')
  from pgq.queue q, lateral (select pgq.insert_event(q.queue_name, 'check', q.queue_name) as id) i
 where pgq.seq_getval(q.queue_event_seq) <> i.id;
do $$
declare q record; n int;
begin
    for q in select * from pgq.queue loop
        execute format('select count(*) from %s where ev_type = ''check'' and ev_data = %L', q.queue_data_pfx, q.queue_name) into n;
        assert n = 1, q.queue_name;
    end loop;
end $$;
select pgq.drop_queue('queue 17');
select pg_temp.same('dropped', pg_temp.direct('queue 17')::text, null);
select pg_temp.same('its neighbours stay', count(pg_temp.direct(queue_name))::text, '551') from pgq.queue;
do $$ begin perform pgq.insert_event('queue 17', 'a', 'b'); raise exception 'accepted'; exception when undefined_object then null; end $$;

-- nobody but pgq.insert_event runs it
do $$
begin
    assert not exists (select 1 from pg_proc p where pronamespace = 'pgq'::regnamespace and proname like '\_insert\_%'
                          and exists (select 1 from aclexplode(coalesce(proacl, acldefault('f', proowner))) a where a.grantee = 0));
end $$;

-- in bulk
select pgq.create_queue('bulk');
select pg_temp.same('ids in order', pgq.insert_events('bulk', array['a', null, 'c'], array['1', '2', null],
       i_extra2 => array['x', null, 'z'])::text, '{1,2,3}');
select pg_temp.same('as given', string_agg(concat_ws(',', ev_id, coalesce(ev_type, '-'), coalesce(ev_data, '-'), coalesce(ev_extra1, '-'), coalesce(ev_extra2, '-')), ' ' order by ev_id),
       '1,a,1,-,x 2,-,2,-,- 3,c,-,-,z') from pgq.event_template where ev_id < 4 and tableoid::regclass::text like 'pgq.event_55%' and tableoid = (select (queue_data_pfx || '_0')::regclass from pgq.queue where queue_name = 'bulk');
select pg_temp.same('none', pgq.insert_events('bulk', '{}', '{}')::text, '{}');
do $$
declare m text;
begin
    perform pgq.insert_events('bulk', array['a', 'b'], array['a'], i_extra1 => array['a']);
    raise exception 'accepted';
exception when array_subscript_error then
    get stacked diagnostics m = message_text;
    assert m = 'i_datas has 1 elements, but i_types has 2', m;
end $$;
do $$ begin perform pgq.insert_events('nobody', '{a}', '{a}'); raise exception 'accepted'; exception when undefined_object then null; end $$;
do $$ begin perform pgq.insert_events('bulk', null, '{a}'); raise exception 'accepted'; exception when null_value_not_allowed then null; end $$;
do $$ begin perform pgq.insert_events('bulk', '{a}', null); raise exception 'accepted'; exception when null_value_not_allowed then null; end $$;
update pgq.queue set queue_per_tx_limit = 3 where queue_name = 'bulk';
select pg_temp.same('within the limit', pgq.insert_events('bulk', '{a,b,c}', '{a,b,c}')::text, '{4,5,6}');
do $$ begin perform pgq.insert_events('bulk', '{a,b,c,d}', '{a,b,c,d}'); raise exception 'accepted'; exception when sqlstate 'PQ001' then null; end $$;
