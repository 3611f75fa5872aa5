-- The order of events by the generic triggers is that of the changes, too.
select pgq.create_queue('q');
\ir captured.psql
create function act() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then execute tg_argv[0] using new.id; end if; return null; end $$;
create table t (id int primary key, u int unique, v text); create table child (id int references t);
select pgq.capture_table('q', 't', 'form=generic') = 'generic' as ok \gset
do $$ declare _t text[] := array(select tgname || ' ' || tgtype || case when tgqual is null then '' else ' when' end from pg_trigger where tgrelid = 't'::regclass and not tgisinternal order by tgname); begin
    assert _t = '{!_londiste_q 25 when,_londiste_q 5,_londiste_q_truncate 32}', _t::text;
end $$;
-- run again, nothing is touched and nobody waits
begin; select pgq.capture_table('q', 't', 'form=generic') = 'generic' as ok \gset
do $$ begin assert not exists (select 1 from pg_locks where pid = pg_backend_pid() and relation = 't'::regclass and mode = 'AccessExclusiveLock'); end $$; commit;

\ir order.psql
-- only inserts and deletes are captured
select pgq.capture_table('q', 't', 'form=generic', 'tgflags=ID') = 'generic' as ok \gset
\ir order_id.psql
select pgq.capture_table('q', 't', 'form=generic') = 'generic' as ok \gset
do $$ begin assert not exists (select from pg_trigger where tgname ~ '^!!'); end $$;
-- numbers that a savepoint takes with it
delete from t; select events() is not null as ok \gset
begin; insert into t values (1, 1, 'a'), (2, 2, 'b') returning case id when 1 then undone('update t set v = ''x''') + done('update t set u = 7, v = ''y'' where id = 1') + undone('delete from t') end \g /dev/null
savepoint s; update t set v = 'lost'; rollback to s; update t set v = 'z' where id = 1; commit;
do $$ declare _e text[] := events(); begin assert _e = array['I:id id=1&u=1&v=a', 'U:id id=1&u=7&v=y', 'I:id id=2&u=2&v=b', 'U:id id=1&u=7&v=z'], _e::text; end $$;

-- a change made by a trigger while the outer statement still has events to write: the same row, a freed value, a deleted key
create function inner_changes() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 and old.id = 1 then
        update t set v = 'inner' where id = 2; update t set u = 1 where id = 3; delete from t where id = 4; insert into t values (4, 3, 'n');
    end if; return null;
end $$;
delete from t; insert into t select n, n, 'v' from generate_series(1, 4) n; select events() is not null as ok \gset
create trigger "A" after update on t for each row execute function inner_changes();
update t set u = u + 10, v = 'outer' where id in (1, 2, 4);
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&u=11&v=outer', 'U:id id=2&u=12&v=outer', 'U:id id=4&u=14&v=outer', 'U:id id=2&u=12&v=inner', 'U:id id=3&u=1&v=v', 'D:id id=4&u=14&v=outer', 'I:id id=4&u=3&v=n'], _e::text;
end $$;
drop trigger "A" on t;

-- two triggers for one queue, by other formats and conditions: each has its own number
create trigger "!more" after update or delete on t for each row when (pgq._trigger_number('q', 'more', old.tableoid, old.ctid, old.xmin)) execute function pgq.jsontriga('q', 'when=id > 1');
delete from t; select events() is not null as ok \gset
insert into t values (1, 1, 'a'), (2, 2, 'b'); update t set v = 'c'; delete from t;
do $$ declare _ids int8[] := array(select ev_id from pgq.event_template); _e text[] := events(); begin
    assert cardinality(_e) = 8 and _e[3:5]::text ~ 'U:id.*UPDATE|UPDATE.*U:id', _e::text;
    assert cardinality(_ids) = (select count(distinct i) from unnest(_ids) i), 'one number twice';
end $$;
drop trigger "!more" on t;

-- a change locks first what every writer locks first: pgq.drop_queue waits for it
begin; select pgq._trigger_number('q', 'w', 't'::regclass, '(0,1)', '3') as ok \gset
do $$ begin assert exists (select from pg_locks where pid = pg_backend_pid() and relation = 'pgq.event_1_state_seq'::regclass); end $$; rollback;
-- a row without a place, as those of foreign tables, gets the next number
select last_value as was from pgq.event_1_id_seq \gset
select pgq._trigger_number('q', 'w', 't'::regclass, '(4294967295,0)', '3') as ok \gset
select last_value = :was as same from pgq.event_1_id_seq \gset
\if :same
\else
    select 1 / 0;
\endif

-- another queue has its own numbers
select pgq.create_queue('q2'); select pgq.capture_table('q2', 't', 'form=generic', 'when=id <> 2') = 'generic' as ok \gset
insert into t values (1, 1, 'a'), (2, 2, 'b'); update t set u = u + 10; delete from t where id = 2; update t set v = 'x';
do $$ declare _e text[] := array(select ev_type || ' ' || ev_data from pgq.event_2 order by ev_id); begin
    assert not exists (select 1 from pgq.event_template e group by e.tableoid, e.ev_id having count(*) > 1), 'one number twice';
    assert _e = array['I:id id=1&u=1&v=a', 'U:id id=1&u=11&v=a', 'U:id id=1&u=11&v=x'], _e::text;
    _e := events();
    assert _e = array['I:id id=1&u=1&v=a', 'I:id id=2&u=2&v=b', 'U:id id=1&u=11&v=a', 'U:id id=2&u=12&v=b', 'D:id id=2&u=12&v=b', 'U:id id=1&u=11&v=x'], _e::text;
end $$;
select pgq.uncapture_table('q2', 't') = 3 as ok \gset
-- when its queue is dropped, the trigger says so as ever, and its table can be written again with a queue of that name
select pgq.uncapture_table('q', 't') = 3 as ok \gset
select pgq.create_queue('q3'); select pgq.capture_table('q3', 't', 'form=generic') = 'generic' as ok \gset
select pgq.drop_queue('q3');
do $$ begin assert refused('update t set v = ''y''') ~ 'No such queue', refused('update t set v = ''y'''); end $$;
select pgq.create_queue('q3'); update t set v = 'y'; do $$ begin assert (select count(*) from pgq.event_4) = 1; end $$;
select pgq.uncapture_table('q3', 't') = 3 as ok \gset

-- partitions: what moves a row between them, and triggers that go on with it
create table p (id int, part int, v text, primary key (id, part)) partition by list (part); create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
select pgq.capture_table('q', 'p', 'ev_extra1=''public.p''') = 'generic' as ok \gset
create function moved() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then update p set v = v || '+' where id = new.id; insert into p values (old.id, 9 - new.part - new.part - new.part, 'again'); delete from p where v = 'again'; end if; return null; end $$;
create trigger "A" after insert on p for each row when (new.v = 'move') execute function moved();
insert into p values (1, 1, 'x'), (2, 1, 'y'); select events() is not null as ok \gset
do $$ begin assert (select count(*) from pg_trigger where tgrelid in ('p1'::regclass, 'p2'::regclass) and tgname like '%londiste_q') = 4; end $$;
alter table p disable trigger "A"; update p set part = 2, v = 'move' where id = 1; update p set part = 2; delete from p where id = 2;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id,part id=1&part=1&v=x public.p', 'I:id,part id=1&part=2&v=move public.p', 'D:id,part id=2&part=1&v=y public.p',
        'U:id,part id=1&part=2&v=move public.p', 'I:id,part id=2&part=2&v=y public.p', 'D:id,part id=2&part=2&v=y public.p'], _e::text;
end $$;
delete from p; select events() is not null as ok \gset
create function follow() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then update p set v = 'inner' where id = new.id; end if; return null; end $$;
create trigger "B" after insert on p for each row execute function follow();
insert into p values (3, 1, 'outer'), (4, 2, 'outer'); alter table p disable trigger "B";
do $$ declare _e text[] := events(); begin
    assert array(select left(e, 1) || ' ' || substring(e from '(id=.*) public') from unnest(_e) e) = array['I id=3&part=1&v=outer', 'U id=3&part=1&v=inner', 'I id=4&part=2&v=outer', 'U id=4&part=2&v=inner'], _e::text;
end $$;
create table p3 (id int, part int, v text, primary key (id, part)); alter table p attach partition p3 for values in (3);
insert into p values (5, 3, 'n'); update p set part = 1 where id = 5; delete from p where id = 5;
do $$ declare _e text[] := events(); begin assert (select string_agg(left(e, 1), '') from unnest(_e) e) = 'IDID', _e::text; end $$;

-- a trigger made by hand writes as before
create table hand (id int primary key, v text); create trigger hand after insert or update or delete on hand for each row execute function pgq.logutriga('q');
insert into hand values (1, 'a'); update hand set v = 'b'; delete from hand;
do $$ declare _e text[] := events(); begin assert _e = array['I:id id=1&v=a public.hand', 'U:id id=1&v=b public.hand', 'D:id id=1&v=b public.hand'], _e::text; end $$;
-- deny: nothing to number
select pgq.capture_table('q', 'child', 'deny') = 'generic' as ok \gset
do $$ begin assert (select tgtype from pg_trigger where tgrelid = 'child'::regclass and tgname = '_londiste_q') = 29 and refused('insert into child values (1)') ~ 'change not allowed'; end $$;
-- a key that two rows may have for a while: by nothing else could the subscriber tell them
create table d (id int primary key deferrable, n int not null unique, v text);
do $$ begin
    assert refused('select pgq.capture_table(''q'', ''d'', ''form=generic'')') ~ '^0A000 the key of table public.d is deferrable', refused('select pgq.capture_table(''q'', ''d'', ''form=generic'')');
    assert refused('select pgq.capture_table(''q'', ''d'', ''form=generic'', ''pkey=n'')') = 'accepted' and refused('select pgq.capture_table(''q'', ''d'', ''form=generic'', ''deny'')') = 'accepted';
end $$;
-- one that it becomes later, however often a change is tried; a trigger made by hand goes on as the original's
create table e (id int primary key, v text); select pgq.capture_table('q', 'e', 'form=generic') = 'generic' as ok \gset
create table by_hand (like e); alter table by_hand add primary key (id); create trigger a after insert or update or delete on by_hand for each row execute function pgq.logutriga('q');
insert into e values (1, 'a'); insert into by_hand values (1, 'a'); select events() is not null as ok \gset
alter table e drop constraint e_pkey, add primary key (id) deferrable; alter table by_hand drop constraint by_hand_pkey, add primary key (id) deferrable;
do $$ declare _sql text; begin
    foreach _sql in array '{update e set v = $x$b$x$,insert into e values (2),delete from e}'::text[] || '{update e set v = $x$b$x$}'::text[] loop
        assert refused(_sql) ~ '^0A000 the key of table public.e is deferrable', refused(_sql);
    end loop;
    assert refused('insert into by_hand values (2); update by_hand set v = $x$b$x$; delete from by_hand') = 'accepted';
    -- both remedies help
    assert refused('alter table e drop constraint e_pkey, add primary key (id); update e set v = $x$c$x$') = 'accepted';
    assert refused('alter table e drop constraint e_pkey, add primary key (id) deferrable; select pgq.capture_table($x$q$x$, $x$e$x$); insert into e values (3)') = 'accepted';
    perform events();
end $$;
-- whoever was given pgq.insert_event writes by these triggers, apart from any role
do $$ begin if to_regrole('writer') is null then create role writer; end if; end $$;
grant insert, update, delete, select on t to writer; select pgq.capture_table('q', 't', 'form=generic') = 'generic' as ok \gset
grant execute on function pgq.insert_event(text, text, text, text, text, text, text) to writer;
\ir ../structure/grants.sql
set role writer; insert into t values (7, 7, 'w'); update t set v = 'x' where id = 7; delete from t where id = 7; reset role;
do $$ declare _e text[] := events(); begin assert _e = array['I:id id=7&u=7&v=w', 'U:id id=7&u=7&v=x', 'D:id id=7&u=7&v=x'], _e::text; end $$;
revoke all on function pgq.insert_event(text, text, text, text, text, text, text) from writer;
\ir ../structure/grants.sql
do $$ begin assert not has_function_privilege('writer', 'pgq._trigger_event(text, text, oid, tid, text, text, text, text, text, text, text)', 'execute'); end $$;
revoke all on t from writer; drop role writer;

-- two triggers of one queue: each finds its own numbers, of the insert before those of the update
select pgq.uncapture_table('q', 't') > 0 as ok \gset
select pgq.capture_table('q', 't', 'form=generic', 'trigger=a', 'tgflags=UD', 'ev_extra2=''a'''), pgq.capture_table('q', 't', 'form=generic', 'trigger=b', 'ev_extra2=''b''') \g /dev/null
select pgq.uncapture_table('q', 'child') > 0 as ok \gset
delete from t; select events() is not null as ok \gset
insert into t values (1, 1, 'x') returning done('update t set v = ''y''') \g /dev/null
do $$ declare _e text[] := events(); begin
    assert (select array_agg(left(e, 1) order by nr) from unnest(_e) with ordinality u (e, nr) where e ~ ' b$') = '{I,U}' and cardinality(_e) = 3, _e::text;
end $$;
select pgq.uncapture_table('q', 't') > 0 as ok \gset
-- two that are alike: each event has a number of its own, and its place
create table tw (id int primary key, v text); select pgq.capture_table('q', 'tw', 'form=generic', 'trigger=a') = 'generic' as ok, pgq.capture_table('q', 'tw', 'form=generic', 'trigger=b') = 'generic' as ok2 \gset
insert into tw select n, 'x' from generate_series(1, 3) n returning done('update tw set v = v || 1'), done('delete from tw where id = 2') \g /dev/null
do $$ declare _e text[]; _one constant text[] := '{I1,U1,U1,I2,U2,D2,U1,I3,U3}'; begin
    assert (select count(*) = count(distinct ev_id) from pgq.event_1);
    _e := (select array_agg("left"(e, 1) || substring(e, 'id=(.)') order by nr) from unnest(events()) with ordinality u (e, nr));
    -- what one of them writes, twice; how they take turns is all the same
    assert (select array_agg(e order by nr) filter (where n % 2 = 1) = _one and array_agg(e order by nr) filter (where n % 2 = 0) = _one
              from (select e, nr, row_number() over (partition by e order by nr) as n from unnest(_e) with ordinality u (e, nr)) o), _e::text;
end $$;
-- a BEFORE trigger of another queue is not the companion of ours
create table bf (id int primary key, v text); create trigger b before insert or update or delete on bf for each row execute function pgq.logutriga('nowhere', 'SKIP');
create trigger c before update on bf for each row execute function act('select 1'); select pgq.capture_table('q', 'bf', 'form=generic') = 'generic' as ok \gset
-- ENABLE ALWAYS goes on to all of them
create table always (id int primary key, v text); create trigger _londiste_q after insert or update or delete on always for each row execute function pgq.logutriga('q');
alter table always enable always trigger _londiste_q; select pgq.capture_table('q', 'always', 'form=generic') = 'generic' as ok \gset
do $$ begin assert (select string_agg(concat_ws(' ', tgname, tgenabled), ',' order by tgname) from pg_trigger where tgrelid = 'always'::regclass and tgname ~ 'londiste_q$') = '!_londiste_q A,_londiste_q A'; end $$;
select pgq.capture_table('q', 'always') = 'row' as ok \gset
do $$ begin assert (select string_agg(concat_ws(' ', tgname, tgenabled), ',' order by tgname) from pg_trigger where tgrelid = 'always'::regclass and tgname ~ 'londiste_q$') = '!_londiste_q A,_londiste_q A,~_londiste_q A'; end $$;
-- nobody but its owner runs what is written in settings
create role nobody_at_all; set application_name = 'seen'; set role nobody_at_all;
do $$ begin
    perform set_config('skytools.message', 'x', true), set_config('skytools.filled', 'application_name x.y role 7', true), set_config('skytools.order_7', 'x', true);
    perform pgq._trigger_number('q', 'w', 0, '(0,1)', '3');
    assert current_setting('application_name') = 'seen' and current_setting('skytools.order_7') = 'x';
end $$;
reset role; drop role nobody_at_all;
