-- The order of events is that of the changes, wherever capture can write them only later.
select pgq.create_queue('q');
\ir captured.psql
create function act() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then execute tg_argv[0] using new.id; end if; return null; end $$;
create table t (id int primary key, u int unique, v text); create table child (id int references t);
select pgq.capture_table('q', 't') = 'row' as ok \gset

-- three triggers; the one before comes last, but for those that are named to
do $$ declare _t text[] := array(select tgname || ' ' || tgtype || case when tgqual is null then '' else ' when' end from pg_trigger where tgrelid = 't'::regclass and not tgisinternal order by tgname); begin
    assert _t = '{!_londiste_q 25 when,_londiste_q 5,_londiste_q_truncate 32,~_londiste_q 27}', _t::text;
end $$;

\ir order.psql

-- updates of what excludes other rows are written after they are made, in their order; so are those of a changed key
create function swap() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 and old.id = 1 then update t set u = 1 where id = 3; update t set id = 1 where id = 3; insert into t values (4, 3, 'n'); end if; return null;
end $$;
delete from t; insert into t select n, n, 'v' from generate_series(1, 3) n; select events() is not null as ok \gset
create trigger "A" after update on t for each row execute function swap();
update t set id = id + 10, u = u + 10 where id < 3;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&u=1&v=v', 'I:id id=11&u=11&v=v', 'D:id id=2&u=2&v=v', 'I:id id=12&u=12&v=v', 'U:id id=3&u=1&v=v', 'D:id id=3&u=1&v=v', 'I:id id=1&u=1&v=v', 'I:id id=4&u=3&v=n'], _e::text;
end $$;
drop trigger "A" on t;

-- another BEFORE trigger that would fire behind capture's, and could change the row or keep the change back
create function last() returns trigger language plpgsql as $$ begin
    if tg_op = 'DELETE' then return case when old.v <> 'kept' then old end; end if;
    if new.v = 'no' then return null; end if; new.v := upper(new.v); return new;
end $$;
delete from t; insert into t values (1, 1, 'a'), (2, 2, 'kept'); update t set v = 'x' where id = 1; select events() is not null as ok \gset
create trigger "~~last" before update or delete on t for each row execute function last();
do $$ begin
    assert refused('update t set v = ''y''') = '55000 trigger "~~last" on table public.t fires behind that of capture, and could change what it has logged', refused('update t set v = ''y''');
    assert refused('update t set u = 9 where id = 1') ~ '^55000' and refused('delete from t') ~ '^55000' and refused('set datestyle = sql; delete from t') ~ '^55000';
    assert refused('select pgq.capture_table(''q'', ''t'')') ~ '^55000';
end $$;
alter trigger "~~last" on t rename to first; insert into t values (5, 5, 'a'); update t set v = 'b' where id = 1; update t set v = 'no' where id = 1; update t set u = 8 where id = 1; delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=5&u=5&v=a', 'U:id id=1&u=1&v=B', 'U:id id=1&u=8&v=B', 'D:id id=5&u=5&v=a', 'D:id id=1&u=8&v=B']
        or _e = array['I:id id=5&u=5&v=a', 'U:id id=1&u=1&v=B', 'U:id id=1&u=8&v=B', 'D:id id=1&u=8&v=B', 'D:id id=5&u=5&v=a'], _e::text; end $$;
-- and when it is capture's that is renamed
alter trigger "~_londiste_q" on t rename to before_all; do $$ begin assert refused('delete from t') ~ '^55000 trigger first on table public.t'; end $$;
alter trigger before_all on t rename to "~_londiste_q"; drop trigger first on t; delete from t; select events() is not null as ok \gset

-- two queues, and changes of other tables and rows between the BEFORE trigger and the change itself
create table o (id int primary key, u int unique, v text); select pgq.capture_table('q', 'o') = 'row' as ok, pgq.create_queue('r') = 1 as ok2 \gset
insert into o values (1, 1, 'o'); insert into t values (1, 1, 'a'), (2, 2, 'b'); select pgq.capture_table('r', 't') = 'row' as ok, events() is not null as ok2 \gset
update t set u = 44 where id = 1; update t set id = 15 where id = 2; update t set v = 'c' where id = 1; delete from t where id = 1;
do $$ declare _e text[] := events(); _r text[]; begin
    assert _e = array['U:id id=1&u=44&v=a', 'D:id id=2&u=2&v=b', 'I:id id=15&u=2&v=b', 'U:id id=1&u=44&v=c', 'D:id id=1&u=44&v=c'], _e::text;
    select array_agg(ev_type || ' ' || ev_data order by ev_id) into _r from pgq.event_2;
    assert _r = _e, _r::text;
end $$;
select pgq.uncapture_table('r', 't') = 4 as ok \gset
create function busy(int) returns bool language plpgsql as $$ begin update o set u = u + 1; return true; end $$;
alter table t add constraint busy check (busy(u)); update t set u = 3; update t set id = 16, v = 'x'; alter table t drop constraint busy;
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&u=2&v=o public.o', 'U:id id=1&u=3&v=o public.o', 'U:id id=15&u=3&v=b', 'U:id id=1&u=4&v=o public.o', 'D:id id=15&u=3&v=b',
                      'I:id id=16&u=3&v=x'], _e::text;
end $$;
-- the clause of another trigger that takes what was freed
create function takes(int) returns bool language plpgsql as $$ begin insert into t values (3, $1, 'c'); return false; end $$;
create trigger "!a" after update on t for each row when (takes(3)) execute function act('select 1');
update t set u = 12 where id = 16; drop trigger "!a" on t;
do $$ declare _e text[] := events(); begin assert _e = array['U:id id=16&u=12&v=x', 'I:id id=3&u=3&v=c'], _e::text; end $$;
delete from t; select events() is not null as ok \gset

-- generated columns, which are computed when the BEFORE triggers are through
create table g (id int primary key, a int, b int generated always as (a * 2) stored, v text); select pgq.capture_table('q', 'g') = 'row' as ok \gset
insert into g values (1, 1), (2, 2); update g set a = 5 where id = 1; update g set v = 'x' where id = 2; update g set id = 3 where id = 2; delete from g;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&a=1&b=2&v public.g', 'I:id id=2&a=2&b=4&v public.g', 'U:id id=1&a=5&b=10&v public.g', 'U:id id=2&a=2&b=4&v=x public.g', 'D:id id=2&a=2&b=4&v=x public.g', 'I:id id=3&a=2&b=4&v=x public.g',
                      'D:id id=1&a=5&b=10&v public.g', 'D:id id=3&a=2&b=4&v=x public.g'], _e::text;
end $$;
-- only inserts and deletes are captured: an update in between changes the version
select pgq.capture_table('q', 't', 'tgflags=ID') = 'row' as ok \gset
\ir order_id.psql
select pgq.capture_table('q', 't') = 'row' as ok \gset
delete from t; select events() is not null as ok \gset
-- one that is added later
alter table t add w int generated always as (u + 1) stored; insert into t values (1, 1, 'a'); update t set u = 4; update t set v = 'b';
do $$ declare _e text[] := events(); begin assert _e = array['I:id id=1&u=1&v=a&w=2', 'U:id id=1&u=4&v=a&w=5', 'U:id id=1&u=4&v=b&w=5'], _e::text; end $$;

-- a part of a partitioned table, attached before or after: rows that move to another part, captured or not
create table p (id int, part int, v text, primary key (id, part)) partition by list (part);
create table p1 partition of p for values in (1); create table p2 (like p including all); create table p3 partition of p for values in (3);
select pgq.capture_table('q', 'p1', 'ev_extra1=''p''') = 'row' as ok, pgq.capture_table('q', 'p2', 'ev_extra1=''p''') = 'row' as ok2 \gset
insert into p2 values (9, 2, 'a'); update p2 set v = 'b'; alter table p attach partition p2 for values in (2);
insert into p values (1, 1, 'a'); update p set v = 'b' where id = 1; update p set part = 2 where id = 1; update p set part = 3, v = 'c' where id = 1; update p set part = 1 where id = 1; delete from p;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id,part id=9&part=2&v=a p', 'U:id,part id=9&part=2&v=b p', 'I:id,part id=1&part=1&v=a p', 'U:id,part id=1&part=1&v=b p',
                      'D:id,part id=1&part=1&v=b p', 'I:id,part id=1&part=2&v=b p', 'D:id,part id=1&part=2&v=b p', 'I:id,part id=1&part=1&v=c p', 'D:id,part id=1&part=1&v=c p', 'D:id,part id=9&part=2&v=b p'], _e::text;
end $$;
-- a move that a trigger keeps back
create trigger "K" before delete on p2 for each row execute function last();
insert into p values (1, 2, 'kept'), (2, 2, 'x'); update p set part = 1, v = 'moved' where part = 2;
do $$ declare _e text[] := events(); begin
    assert (select array_agg(p.*::text order by id) from p) = '{"(1,2,kept)","(2,1,moved)"}', (select array_agg(p.*::text) from p)::text;
    assert _e = array['I:id,part id=1&part=2&v=kept p', 'I:id,part id=2&part=2&v=x p', 'D:id,part id=2&part=2&v=x p', 'I:id,part id=2&part=1&v=moved p'], _e::text;
end $$;

-- triggers of an older installation: one for everything
select pgq.uncapture_table('q', 'g') = 4 as ok \gset
select pgq._capture_register('q', 'public', 'g', '_londiste_q', '{}', 'fail', 'row', 'IUD') as f \gset
create trigger _londiste_q after insert or update or delete on g for each row execute function pgq.:"f"('q');
insert into g values (1, 1); update g set v = 'x'; update g set id = 2; delete from g;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&a=1&b=2&v public.g', 'U:id id=1&a=1&b=2&v=x public.g', 'D:id id=1&a=1&b=2&v=x public.g', 'I:id id=2&a=1&b=2&v=x public.g', 'D:id id=2&a=1&b=2&v=x public.g'], _e::text;
end $$;
select pgq.capture_table('q', 'g') = 'row' as ok \gset
insert into g values (1, 1); update g set v = 'x'; delete from g;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&a=1&b=2&v public.g', 'U:id id=1&a=1&b=2&v=x public.g', 'D:id id=1&a=1&b=2&v=x public.g'], _e::text;
end $$;

-- whoever knew the secret could not put a number there that was not drawn, and nobody draws twice for one change
create function kept_in(_block int) returns text language sql as $$ select pgq._capture_order_setting(s.secret, format('(%s,1)', _block)::tid) from pgq.capture_secret s $$;
create function forge(_number int8) returns void language sql as $$
    select set_config(pgq._capture_kept(s.secret, 'message'), pgq._capture_message(), true),
           set_config(kept_in(0), pgq._capture_order_table('_capture_1', 't'::regclass, 'I') || pgq._capture_order_block('t'::regclass, '(0,1)') || '1+200=' || _number || '*0*0>', true) from pgq.capture_secret s
$$;
truncate t cascade; select events() is not null as ok \gset
do $$ begin
    assert refused('insert into t select 1, 1, ''a'' from forge(9999999) returning done(''select 1 from t for update'')') ~ '^55000 the order of changes', refused('insert into t select 1, 1, ''a'' from forge(9999999) returning done(''select 1 from t for update'')');
    assert refused('insert into t select 1, 1, ''a'' from forge(1) returning done(''select 1 from t for update'')') = 'accepted'; assert (select ev_id from pgq.event_1) = 1; delete from t; perform events();
end $$;

-- numbers are kept as runs: in the order of the rows, out of it, with gaps, of several tables and savepoints
create function kept(_n int) returns table (at tid, numbers int8[]) language plpgsql as $$ declare _at tid; _want int8; begin
    for i in 1 .. _n loop
        foreach _want in array case when i % 7 = 0 then array[i + 1000, i] else array[i] end loop
            _at := format('(%s,%s)', case when i % 3 = 0 then 256 else 0 end, case when i between 20 and 40 then 400 - i else i end);
            perform nextval('pgq.event_1_id_seq') where i % 11 = 0;
            perform pgq._capture_remember('_capture_1', 't'::regclass, _at, 'C', array[nextval('pgq.event_1_id_seq')] || case when i > _n / 2 then array[nextval('pgq.event_1_id_seq')] end);
            perform pgq._capture_remember('_capture_2', 't'::regclass, _at, 'C', array[nextval('pgq.event_1_id_seq')]);
        end loop;
        at := _at; numbers := array[currval('pgq.event_1_id_seq') - case when i > _n / 2 then 2 else 1 end, currval('pgq.event_1_id_seq') - 1]; return next;
    end loop;
end $$;
do $$ declare _wrong int; begin
    select count(*) into _wrong from kept(120) k where pgq._capture_numbers('_capture_1', 't'::regclass, k.at, 'C', 'pgq.event_1_id_seq', false) <> k.numbers
        or pgq._capture_numbers('_capture_2', 't'::regclass, k.at, 'C', 'pgq.event_1_id_seq', false) <> array[k.numbers[2] + 1, k.numbers[2] + 1];
    assert _wrong = 0 and (select count(*) from kept(120)) = 120, _wrong;
    assert pgq._capture_numbers('_capture_1', 't'::regclass, '(0,121)', 'C', 'pgq.event_1_id_seq', false) is null and pgq._capture_numbers('_capture_1', 'child'::regclass, '(0,1)', 'C', 'pgq.event_1_id_seq', false) is null
       and pgq._capture_numbers('_capture_1', 't'::regclass, '(0,1)', 'I', 'pgq.event_1_id_seq', false) is null;
end $$;
-- taken one by one, in any order, by two who ask for the same
do $$ declare _r record; begin
    for _r in select k.at, k.numbers, coalesce(nullif(k.numbers[2] - k.numbers[1], 0), 0) from kept(120) k order by hashtext(k.at::text) loop
        assert pgq._capture_numbers('_capture_1', 't'::regclass, _r.at, 'C', 'pgq.event_1_id_seq', true) = _r.numbers, _r::text;
        assert pgq._capture_numbers('_capture_1', 't'::regclass, _r.at, 'C', 'pgq.event_1_id_seq', true) is distinct from _r.numbers, _r::text;
    end loop;
end $$;
create table many (id int primary key, u int unique); select pgq.capture_table('q', 'many') = 'row' as ok \gset
insert into many select n, n from generate_series(1, 3000) n; delete from pgq.event_1;
begin; update many set u = -u; do $$ begin
    -- ten blocks or more, each of them one run
    assert (select sum(array_length(string_to_array(current_setting(kept_in(n), true), '<'), 1) - 1) from generate_series(0, 255) n) between 10 and 30;
    assert (select array_agg(substring(ev_data from 'id=(\d+)')::int order by ev_id) from pgq.event_1) = array(select generate_series(1, 3000));
end $$; commit; drop table many; select events() is not null as ok \gset

-- a column that excluded other rows is gone, or has another name
create table e (id int primary key, a int unique, b int unique); select pgq.capture_table('q', 'e') = 'row' as ok \gset
insert into e values (1, 1, 1); alter table e drop column a; update e set b = 2; alter table e rename column b to c; update e set c = 3; alter table e rename column id to k; update e set k = 5;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&a=1&b=1 public.e', 'U:id id=1&b=2 public.e', 'U:id id=1&c=3 public.e', 'D:k k=1&c=3 public.e', 'I:k k=5&c=3 public.e'], _e::text;
end $$;

-- RESET ALL of the client, between statements that keep numbers; and advisory locks of anybody else that look like those of capture
create table par (id int primary key); create table chi (id int primary key references par); select pgq.capture_table('q', 'par') = 'row' as ok \gset
create table num (id int primary key, k int unique); insert into num select g, g * 1000 from generate_series(1, 6) g; select pgq.capture_table('q', 'num') = 'row' as ok \gset
create function with_child() returns trigger language plpgsql as $$ begin insert into chi values (new.id); return null; end $$;
create trigger "Before all others" after insert on par for each row execute function with_child();
begin;
update num set k = k + 1 where id = 1; update num set k = k + 1 where id = 2; update num set k = k + 1 where id = 3;
reset all;
update num set k = k + 1 where id = 1; update num set k = k + 1 where id = 2; update num set k = k + 1 where id = 3;
update num set k = k + 1 where id = 4; update num set k = k + 1 where id = 5; update num set k = k + 1 where id = 6;
insert into par values (1);
commit;
reset all;
begin;
do $$ begin
    perform pg_advisory_xact_lock('pgq.capture_secret'::regclass::oid::int, g), pg_advisory_xact_lock_shared('pgq.capture_secret'::regclass::oid::int, -g),
            pg_advisory_xact_lock_shared(g), pg_advisory_xact_lock_shared(-g), pg_advisory_xact_lock_shared((1::int8 << 62) + g)
       from generate_series(1, 9) g;
end $$;
insert into par values (2);
commit;
do $$ declare _e text[] := array(select ev_type || ' ' || ev_data from pgq.event_1 where ev_extra1 = 'public.par' order by ev_id); begin
    assert _e = '{I:id id=1,I:id id=2}', _e::text;
end $$;
select events() is not null as ok \gset

-- what keeps and finds numbers runs with the caller's search_path and as the owner of PgQ: no operator is looked up there
create schema evil;
do $$ declare _o record; begin
    for _o in select o.oid, o.oprname, format_type(o.oprleft, null) as l, format_type(o.oprright, null) as r, format_type(o.oprresult, null) as res
                from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b'
                 and o.oprleft in ('int8'::regtype, 'int4'::regtype, 'text'::regtype, 'oid'::regtype, 'tid'::regtype) and o.oprright in ('int8'::regtype, 'int4'::regtype, 'text'::regtype, 'oid'::regtype, 'tid'::regtype)
    loop
        execute format('create function evil.f%s(%s, %s) returns %s language plpgsql as %L', _o.oid, _o.l, _o.r, _o.res, 'begin raise ''evil was called''; end');
        execute format('create operator evil.%s (function = evil.f%s, leftarg = %s, rightarg = %s)', _o.oprname, _o.oid, _o.l, _o.r);
    end loop;
end $$;
create table ge (id int primary key, u int unique, v text); select pgq.capture_table('q', 'ge', 'form=generic') = 'generic' as ok \gset
create function inside(_sql text) returns int language plpgsql as $$ begin execute _sql; return 1; end $$;
set search_path = evil, pg_catalog;
do $$ begin
    for n in pg_catalog.int4pl(0, 1) .. 5 loop
        perform pgq._capture_remember('_capture_1', 'public.t'::pg_catalog.regclass, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, 'C', array[pg_catalog.nextval('pgq.event_1_id_seq')]);
        perform pgq._capture_numbers('_capture_1', 'public.t'::pg_catalog.regclass, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, 'C', 'pgq.event_1_id_seq', true);
        perform pgq._trigger_number('q', 'w', 7, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, null), pgq._trigger_first('q', 'v', 7, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, null);
        perform pgq._trigger_event('q', 'w', 7, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, 'UPDATE', 'x', 'y', null, null, null, null);
        perform pgq._capture_first('_capture_1', 'public.t'::pg_catalog.regclass, pg_catalog.format('(0,%s)', n)::pg_catalog.tid, 'pgq.event_1_id_seq'), pgq._capture_leave_to_after('_capture_1', 'public.t'::pg_catalog.regclass, '(0,1)');
    end loop;
end $$;
insert into public.t values (90, 90, 'a'); update public.t set u = 91 where public.t.id operator(pg_catalog.=) 90; delete from public.t;
insert into public.t values (90, 90, 'a') returning public.inside('update public.t set u = 91 where public.t.id operator(pg_catalog.=) 90'), public.inside('delete from public.t') \g /dev/null
insert into public.ge values (90, 90, 'a') returning public.inside('update public.ge set u = 91 where public.ge.id operator(pg_catalog.=) 90'), public.inside('delete from public.ge') \g /dev/null
reset search_path;
