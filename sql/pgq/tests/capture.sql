-- Generic triggers where they differ from the original on purpose; the rest is compared with it.
select pgq.create_queue('q');
\ir captured.psql

-- names that the format cannot carry
create schema "s.t"; create table "s.t".x (id int primary key);
create trigger c after insert on "s.t".x for each row execute function pgq.logutriga('q');
create table comma ("a,b" int primary key);
create trigger c after insert on comma for each row execute function pgq.logutriga('q');
do $$ declare _e text; begin
    _e := refused('insert into "s.t".x values (1)');
    assert _e = '42602 changes of table "s.t".x cannot be logged: the name of its schema contains a dot', _e;
    _e := refused('insert into comma values (1)');
    assert _e = '42602 changes of table public.comma cannot be logged: the name of a key column contains a comma', _e;
end $$;
drop trigger c on comma;
create trigger c after insert on comma for each row execute function pgq.jsontriga('q');
insert into comma values (1);
drop trigger c on "s.t".x;
create trigger c after insert on "s.t".x for each row execute function pgq.logutriga('q', 'ev_extra1=''s_t.x''');
insert into "s.t".x values (1);
do $$ begin assert cardinality(events()) = 2; end $$;

-- key columns: renamed, swapped, with INCLUDE
create table t (id int, k2 int, v int, w int, primary key (id) include (w));
create trigger l after insert or update or delete on t for each row execute function pgq.logutriga('q');
create trigger s after insert or update or delete on t for each row execute function pgq.sqltriga('q');
insert into t values (1, 2, 3, 4); update t set w = 5;
alter table t rename column id to nr; update t set v = 4;
alter table t rename column nr to x; alter table t rename column k2 to nr; alter table t rename column x to k2; update t set v = 5;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&k2=2&v=3&w=4', 'I (id,k2,v,w) values (''1'',''2'',''3'',''4'')', 'U:id id=1&k2=2&v=3&w=5', 'U w=''5'' where id=''1''',
        'U:nr nr=1&k2=2&v=4&w=5', 'U v=''4'' where nr=''1''', 'U:k2 k2=1&nr=2&v=5&w=5', 'U v=''5'' where k2=''1'''], _e::text;
end $$;

-- a separator inside of a value, empty strings beside nulls
create table sep (id int primary key, a text, b text, c text);
create trigger l after insert or update or delete on sep for each row execute function pgq.logutriga('q');
insert into sep values (1, E'\x01', '', null), (2, '', '', ''), (3, null, null, null), (4, E'"\x01"', '""', null);
update sep set a = '' where id = 3; delete from sep where id = 1;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&a=%01&b=&c public.sep', 'I:id id=2&a=&b=&c= public.sep', 'I:id id=3&a&b&c public.sep',
        'I:id id=4&a=%22%01%22&b=%22%22&c public.sep', 'U:id id=3&a=&b&c public.sep', 'D:id id=1&a=%01&b=&c public.sep'], _e::text;
end $$;

-- more columns than one call takes
do $$ begin
    execute 'create table wide (id int primary key, ' || (select string_agg('c' || i || ' text', ', ') from generate_series(1, 300) i) || ')';
    create trigger l after insert or update on wide for each row execute function pgq.logutriga('q');
    insert into wide (id, c300) values (1, 'last one');
    update wide set c1 = 'x';
    assert (select array_agg(right(ev_data, 13)) from pgq.event_1) = '{c300=last+one,c300=last+one}';
    perform events();
end $$;

-- casts of others run nowhere
create type evil as enum ('e');
create function evil_text(evil) returns text language plpgsql as $$ begin raise 'a cast was used'; end $$;
create cast (evil as text) with function evil_text(evil) as assignment;
create function evil_json(evil) returns json language plpgsql as $$ begin raise 'a cast was used'; end $$;
create cast (evil as json) with function evil_json(evil);
create table e (id evil primary key, v evil);
create trigger l after insert or update or delete on e for each row execute function pgq.logutriga('q', 'backup', 'ev_extra3=v');
create trigger s after insert or update or delete on e for each row execute function pgq.sqltriga('q');
create trigger j after insert or update or delete on e for each row execute function pgq.jsontriga('q');
insert into e values ('e', 'e'); update e set v = null; delete from e;
do $$ begin perform events(); end $$;

-- nobody plants SQL: the plan is kept where only its function writes
do $$ begin
    assert not has_table_privilege('pg_monitor', 'pgq.trigger_plan', 'insert, update, delete');
    assert has_table_privilege('pg_monitor', 'pgq.trigger_plan', 'select');
    assert (select count(*) from pgq._trigger_plan('e'::regclass, 'logutriga', '{q,when=true}')) = 1;
    assert not exists (select 1 from pgq.trigger_plan where 'when=true' = any (args)), 'kept a plan that no trigger has';
end $$;

-- a constant name for the truncation of a renamed table
create trigger r after truncate on e for each statement execute function pgq.sqltriga('q', 'ev_extra1=''other.name''');
truncate e;
do $$ begin assert (select ev_extra1 from pgq.event_1) = 'other.name'; perform events(); end $$;

-- the queue's own worker passes
create table d (id int primary key);
create trigger d after insert or update or delete on d for each row execute function pgq.logutriga('q', 'deny');
do $$ declare _e text; begin
    perform set_config('skytools.apply_token', 'guess', false);
    _e := refused('insert into d values (1)');
    assert _e = '55000 Table ''public.d'' to queue ''q'': change not allowed (INSERT)', _e;
    perform set_config('skytools.apply_token', pgq.apply_token('q'), false);
    insert into d values (1); update d set id = 2; delete from d;
    insert into sep values (9);
    assert events() is null, 'the worker was logged';
    perform set_config('skytools.apply_token', pgq.apply_token('other'), false);
    assert refused('insert into d values (1)') like '55000%', 'the token of another queue';
    perform set_config('skytools.apply_token', '', false);
end $$;

-- 20 MB of anything
do $$ declare _v text; begin
    insert into sep values (20, repeat(E'some, text & ümlauts \\ %\n', 800000), repeat('日本語 ', 1000000));
    select ev_data into _v from pgq.event_1;
    assert length(_v) > 40000000;
    assert right(_v, 2) = '&c';
    perform events();
end $$;

-- columns that exchange their names: values stay with their names, in the order of the table
create table swapped (id int primary key, a text, b text, c int);
create trigger cap after insert or update or delete on swapped for each row execute function pgq.logutriga('q');
create trigger cap_sql after insert on swapped for each row execute function pgq.sqltriga('q');
create trigger cap_json after insert on swapped for each row execute function pgq.jsontriga('q');
insert into swapped values (1, 'first', 'second', 3);
alter table swapped rename a to x;
alter table swapped rename b to a;
alter table swapped rename x to b;
delete from pgq.event_1;
insert into swapped values (2, 'first', 'second', 3);
update swapped set a = '' where id = 1;
delete from swapped where id = 1;
do $$
declare e text := (select string_agg(ev_data, ' | ' order by ev_id) from pgq.event_1);
begin
    assert e = 'id=2&b=first&a=second&c=3 | {"id":2,"b":"first","a":"second","c":3} | (id,b,a,c) values (''2'',''first'',''second'',''3'')'
            || ' | id=1&b=first&a=&c=3 | id=1&b=first&a=&c=3', e;
end $$;

-- separators of the encoder, empty strings and nulls among the values
delete from pgq.event_1;
insert into swapped values (3, E'x\x01y', E'\x02', null), (4, '', null, 0), (5, '%01%02', '=&', null), (6, repeat('ab cd', 40000), '', null), (7, null, 'é', null);
do $$
declare e text := (select string_agg(case when length(ev_data) > 1000 then md5(ev_data) else ev_data end, ' | ' order by ev_id) from pgq.event_1 where ev_type = 'I:id');
begin
    assert e = 'id=3&b=x%01y&a=%02&c | id=4&b=&a&c=0 | id=5&b=%2501%2502&a=%3d%26&c | '
            || md5('id=6&b=' || repeat('ab+cd', 40000) || '&a=&c') || ' | id=7&b&a=%c3%a9&c', e;
end $$;
drop table swapped;

-- operators of the writer decide nothing
create schema evil; create function evil.lie(text, text) returns bool language sql as 'select true'; create function evil.lie(oid, oid) returns bool language sql as 'select false';
create operator evil.= (function = evil.lie, leftarg = text, rightarg = text); create operator evil.<> (function = evil.lie, leftarg = text, rightarg = text); create operator evil.= (function = evil.lie, leftarg = oid, rightarg = oid);
create table watched (id int primary key, v text);
create trigger a after insert or update or delete on watched for each row execute function pgq.logutriga('q'); create trigger b after truncate on watched execute function pgq.sqltriga('q');
delete from pgq.event_1;
set search_path = evil, public, pg_catalog;
insert into watched values (1, 'a'); update watched set v = 'b'; delete from watched; truncate watched;
reset search_path;
do $$ begin
    assert (select array_agg(concat_ws(' ', ev_type, ev_data) order by ev_id) from pgq.event_1)
         = array['I:id id=1&v=a', 'U:id id=1&v=b', 'D:id id=1&v=b', 'R '], (select array_agg(concat_ws(' ', ev_type, ev_data) order by ev_id) from pgq.event_1)::text;
end $$;

-- a text that becomes an array, where values are asked for one by one
create table arrays (id int primary key, v text);
do $$ begin execute 'alter table arrays ' || (select string_agg('add column c' || n || ' int', ', ') from generate_series(1, 100) n); end $$;
create trigger arrays after insert or update or delete on arrays for each row execute function pgq.logutriga('q');
delete from pgq.event_1; insert into arrays values (1, 'x'); update arrays set v = 'y';
alter table arrays alter v type int[] using '{7}'; insert into arrays values (2, '{1,2}'); alter table arrays alter v type text; update arrays set v = 'z' where id = 1;
do $$ begin
    assert (select array_agg(left(ev_data, 11) order by ev_id) from pgq.event_1) = '{id=1&v=x&c1,id=1&v=y&c1,id=2&v=%7b1,id=1&v=z&c1}'::text[], (select array_agg(left(ev_data, 11) order by ev_id) from pgq.event_1)::text;
end $$;

-- a queue with captured tables is not dropped by chance, and with force its capture goes first
select pgq.create_queue('going');
create table going_r (id int primary key); create table going_s (id int primary key); create table "Going.x" (id int primary key); create table going_x (id int primary key);
select pgq.capture_table('going', 'going_r'), pgq.capture_table('going', 'going_s', 'form=statement'), pgq.capture_table('going', 'public.Going.x'), pgq.capture_table('going', 'going_x');
drop table going_x;
do $$ begin
    perform pgq.drop_queue('going');
    assert false;
exception when object_in_use then
    assert sqlerrm = 'cannot drop queue going: changes of tables are captured into it: public."Going.x", public.going_r, public.going_s', sqlerrm;
end $$;
select pgq.drop_queue('going', true);
insert into going_r values (1); insert into going_s values (1); insert into "Going.x" values (1);
do $$ begin
    assert not exists (select from pgq.capture where queue_name = 'going');
    assert not exists (select from pg_trigger where tgrelid in ('going_r'::regclass, 'going_s'::regclass, '"Going.x"'::regclass));
end $$;
