-- Capture by statement: the same events, all of a statement at its end; what has no order is refused, and nothing is left half-done.
select pgq.create_queue('q');
\ir captured.psql
create table t (id int primary key, n text, v text, d date);
do $$ begin
    assert pgq.capture_table('q', 't', 'form=statement') = 'statement';
    assert (select form from pgq.capture where rel_name = 't') = 'statement';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'', ''ignore=v'')') = '0A000 form=statement is not possible with ignore= and backup';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'', ''backup'')') = '0A000 form=statement is not possible with ignore= and backup';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'', ''deny'')') = '0A000 form=statement is not possible for table t';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'', ''tgflags=I'')') ~ '^0A000 form=statement captures all operations';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'', ''trigger=' || repeat('x', 60) || ''')') ~ '^42622 form=statement needs several triggers';
end $$;

-- what it writes
insert into t values (1, 'a', 'x@y, é', null), (2, null, E'\x01&=', '2024-02-01'); insert into t select 3 where false; update t set v = 'b' where id = 1; update t set v = v where false;
update t set id = id + 1 where id = 2; set datestyle = german; update t set n = 'n' where d is not null; reset datestyle;
begin; savepoint s; update t set v = 'gone'; rollback to s; delete from t where id = 1; commit;
copy t from stdin;
7	\N	copied	\N
\.
insert into t values (7) on conflict do nothing;
with x as (select 9 as id) insert into t select id from x; truncate t;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&n=a&v=x%40y%2c+%c3%a9&d', 'I:id id=2&n&v=%01%26%3d&d=2024-02-01', 'U:id id=1&n=a&v=b&d', 'D:id id=2&n&v=%01%26%3d&d=2024-02-01', 'I:id id=3&n&v=%01%26%3d&d=2024-02-01',
        'U:id id=3&n=n&v=%01%26%3d&d=2024-02-01', 'D:id id=1&n=a&v=b&d', 'I:id id=7&n&v=copied&d', 'I:id id=9&n&v&d', 'R '], _e::text;
end $$;
-- keys that move through each other: deletes, updates, inserts
insert into t select g, 'n' || g from generate_series(1, 3) g; select events() is null as x \gset
alter table t drop constraint t_pkey; alter table t add primary key (id); update t set id = id + 1 where id = 3; update t set id = id + 1 where id = 2; update t set id = id + 1 where id = 1;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=3&n=n3&v&d', 'I:id id=4&n=n3&v&d', 'D:id id=2&n=n2&v&d', 'I:id id=3&n=n2&v&d', 'D:id id=1&n=n1&v&d', 'I:id id=2&n=n1&v&d'], _e::text;
end $$;
update t set id = -id where id > 2; insert into t values (5, 'm'); select events() is null as x \gset
update t set id = id - 1 where id < 0;
do $$ declare _e text[] := events(); _s text := array_to_string(_e, ' '); begin
    assert cardinality(_e) = 3 and _e[1] = 'D:id id=-3&n=n2&v&d' and _e[2] = 'U:id id=-4&n=n2&v&d' and _e[3] = 'I:id id=-5&n=n3&v&d', _s;
end $$;

-- what has no order
create function inner_() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then update t set v = 'inner' where id = new.id; end if; return null; end $$;
create function f() returns int language plpgsql as $$ begin delete from t where id = 5; return 1; end $$;
do $$ declare _why text := '0A000 statement on table public.t inside of another one on it: its capture by statement cannot log them in order'; begin
    perform events();
    assert refused('insert into t values (5) on conflict (id) do update set v = ''c''') = _why;
    assert refused('with d as (delete from t where id = 5 returning id) insert into t select id + 10 from d') = _why;
    assert refused('update t set v = f()::text') = _why;
    create trigger a after insert or update on t for each row execute function inner_();
    assert refused('insert into t values (20)') = _why;
    assert events() is null;
    drop trigger a on t;
    insert into t values (21);
    assert events() = array['I:id id=21&n&v&d'];
end $$;
-- a foreign key of the table onto itself updates rows of the statement that fires it, as part of that statement
create table tree (id int primary key, up int references tree on update cascade, v text); select pgq.capture_table('q', 'tree', 'form=statement') = 'statement' as ok \gset
do $$ declare _e text[]; begin
    insert into tree values (1, null), (2, 1), (3, 1), (4, null); perform events();
    assert refused('update tree set id = id + 10') ~ '0A000 statement on table (public.)?tree inside of another one on it', refused('update tree set id = id + 10');
    assert refused('alter table tree add w int; update tree set id = id + 10') ~ 'inside of another one', refused('alter table tree add w int; update tree set id = id + 10');
    assert events() is null;
    update tree set id = 5 where id = 1; _e := events();
    assert _e = array['D:id id=1&up&v public.tree', 'U:id id=2&up=5&v public.tree', 'U:id id=3&up=5&v public.tree', 'I:id id=5&up&v public.tree'], _e::text;
    update tree set id = id - 10 where up is null and id = 4; _e := events();
    assert _e = array['D:id id=4&up&v public.tree', 'I:id id=-6&up&v public.tree'], _e::text;
    -- a reference to something else than the key: rows in the order of their updates
    alter table tree add code int unique, add up_code int references tree (code) on update cascade;
    update tree set code = id, up_code = 5; perform events();
    update tree set code = code + 100 where id in (5, 2); _e := events();
    assert _e[1:2] = array['U:id id=2&up=5&v&code=102&up_code=5 public.tree', 'U:id id=5&up&v&code=105&up_code=5 public.tree']
        or _e[1:2] = array['U:id id=5&up&v&code=105&up_code=5 public.tree', 'U:id id=2&up=5&v&code=102&up_code=5 public.tree'], _e::text;
    assert array(select x from unnest(_e[3:]) x order by x collate "C") = array['U:id id=-6&up&v&code=-6&up_code=105 public.tree',
        'U:id id=2&up=5&v&code=102&up_code=105 public.tree', 'U:id id=3&up=5&v&code=3&up_code=105 public.tree', 'U:id id=5&up&v&code=105&up_code=105 public.tree'], _e::text;
    assert pgq.uncapture_table('q', 'tree') = 6;
end $$;
-- it may not become part of a hierarchy, or be one
create table p (like t) partition by range (id); create table m (like t); create table c () inherits (m);
do $$ begin
    assert refused('alter table p attach partition t for values from (0) to (100)') ~ 'ROW triggers with transition tables|prevents table "t" from becoming a partition';
    assert refused('alter table t inherit m') ~ 'prevents table "t" from becoming an inheritance child';
    assert refused('select pgq.capture_table(''q'', ''m'', ''form=statement'')') ~ '^0A000 form=statement is not possible for table public.m: it is a partition, or inherits';
    assert refused('select pgq.capture_table(''q'', ''c'', ''form=statement'')') ~ '^0A000 form=statement is not possible for table public.c: it is a partition, or inherits';
end $$;
-- DDL behind its back; no key; a key that may be exchanged
delete from t; select events() is null as x \gset
alter table t add x jsonb; insert into t values (1, 'a', null, null, '{"a": 1}'); alter table t rename v to w; update t set w = 'w'; alter table t alter n type int using 5; update t set n = 6; alter table t drop x;
set datestyle = german; set intervalstyle = sql_standard; alter table t alter w type interval using '1 day'; update t set w = '2 days', d = '2024-02-01'; alter table t rename to t2; update t2 set n = 7; alter table t2 rename to t;
alter table t drop constraint t_pkey; do $$ begin assert refused('delete from t') = '55000 Update/Delete on table without pkey'; assert refused('delete from t where false') = 'accepted'; end $$; insert into t values (2);
alter table t add primary key (id) deferrable;
do $$ declare _sql text; begin
    foreach _sql in array '{update t set n = 8,update t set id = 3 - id,delete from t}'::text[] loop
        assert refused(_sql) = '0A000 update and delete not allowed: the key is deferrable', refused(_sql);
        assert refused(_sql || ' where false') = 'accepted';
    end loop;
end $$;
alter table t drop constraint t_pkey, add primary key (id); update t set n = 8 where id = 2; alter table t drop constraint t_pkey, add primary key (id) deferrable;
do $$ begin
    assert refused('update t set n = 9') = '0A000 update and delete not allowed: the key is deferrable';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=statement'')') ~ '^0A000 the key of table public.t is deferrable: two rows may have it for a while, which capture by statement cannot log';
end $$;
do $$ declare _e text[] := events(); begin
    assert current_setting('datestyle') ~ 'German' and current_setting('intervalstyle') = 'sql_standard';
    assert _e = array['I:id id=1&n=a&v&d&x=%7b%22a%22%3a+1%7d', 'U:id id=1&n=a&w=w&d&x=%7b%22a%22%3a+1%7d', 'U:id id=1&n=6&w=w&d&x=%7b%22a%22%3a+1%7d', 'U:id id=1&n=6&w=P2D&d=2024-02-01',
        'U:id id=1&n=7&w=P2D&d=2024-02-01 public.t2', 'I: id=2&n&w&d', 'U:id id=2&n=8&w&d'], _e::text;
end $$;
reset datestyle; reset intervalstyle;

-- RESET ALL in a statement, and settings by name, hide no statement inside of another one
create table inner_reset (id int primary key, v int); select pgq.capture_table('q', 'inner_reset', 'form=statement') = 'statement' as ok \gset
insert into inner_reset values (1, 1); select events() is not null as ok \gset
create function forget() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then
        execute tg_argv[0];
        if tg_nargs = 2 then update inner_reset set v = 100 where id = new.id; end if;
    end if;
    return null;
end $$;
do $$ declare _forget text; begin
    foreach _forget in array array['reset all', format('select set_config(%L, %L, true)', concat('skytools.open_', 'inner_reset'::regclass::oid), '')] loop
        execute format('create trigger a after update on inner_reset for each row execute function forget(%L, ''nested'')', _forget);
        assert refused('update inner_reset set v = 5') ~ '^(55000 the order of changes of table (public.)?inner_reset is lost|0A000 statement on table)', refused('update inner_reset set v = 5');
        drop trigger a on inner_reset;
    end loop;
    create trigger a after update on inner_reset for each row execute function forget('reset all');
    assert refused('update inner_reset set v = 5') ~ '^55000 the order of changes of table (public.)?inner_reset is lost';
    -- whatever is to be done with what cannot be captured
    perform pgq.capture_table('q', 'inner_reset', 'form=statement', 'capture_failure=mark');
    assert refused('update inner_reset set v = 5') ~ '^55000 the order of changes of table (public.)?inner_reset is lost';
    drop trigger a on inner_reset;
    reset all; update inner_reset set v = 6; reset all; update inner_reset set v = 7;
    assert events() = array['U:id id=1&v=6 public.inner_reset', 'U:id id=1&v=7 public.inner_reset'];
    assert pgq.uncapture_table('q', 'inner_reset') = 6;
end $$;

-- a table of two queues
create table two (id int primary key, v int); select pgq.create_queue('q2') = 1 as ok \gset
select pgq.capture_table('q', 'two', 'form=statement') = 'statement' as ok, pgq.capture_table('q2', 'two', 'form=statement') = 'statement' as x \gset
insert into two values (1, 1); update two set v = 2;
do $$ begin
    assert events() = array['I:id id=1&v=1 public.two', 'U:id id=1&v=2 public.two'];
    assert (select array_agg(ev_type || ' ' || ev_data order by ev_id) from pgq.event_2) = array['I:id id=1&v=1', 'U:id id=1&v=2'];
    assert pgq.uncapture_table('q', 'two') = 6 and pgq.uncapture_table('q2', 'two') = 6 and pgq.drop_queue('q2') = 1;
end $$;

-- other unique values move with the keys: whose were whose, rows do not tell; nor right after DDL
create table w (id int primary key, u int unique, v text); select pgq.capture_table('q', 'w', 'form=statement') = 'statement' as ok \gset
insert into w select n, n from generate_series(1, 3) n; select events() is not null as ok \gset
update w set id = id - 1 where id <> 2 or v is null; update w set u = u + 10; alter table w add x int; update w set u = u + 10 where id = 1; alter table w drop x; update w set id = id - 10;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&u=1&v public.w', 'D:id id=2&u=2&v public.w', 'D:id id=3&u=3&v public.w', 'I:id id=0&u=1&v public.w', 'I:id id=1&u=2&v public.w', 'I:id id=2&u=3&v public.w',
        'U:id id=0&u=11&v public.w', 'U:id id=1&u=12&v public.w', 'U:id id=2&u=13&v public.w', 'U:id id=1&u=22&v&x public.w',
        'D:id id=0&u=11&v public.w', 'D:id id=2&u=13&v public.w', 'D:id id=1&u=22&v public.w', 'I:id id=-10&u=11&v public.w', 'I:id id=-8&u=13&v public.w', 'I:id id=-9&u=22&v public.w'], _e::text;
end $$;

-- a row larger than 1 GB has a name
create table big (id int primary key, v varbit); alter table big alter v set storage external; select pgq.capture_table('q', 'big', 'form=statement') = 'statement' as ok \gset
do $$ begin
    assert refused('insert into big select 1, c || c || c || c from (select b || b || b || b from (select (''x'' || repeat(''f'', 21000000))::varbit) a (b)) d (c)')
        = '54000 changes of table public.big cannot be logged: a row larger than 1 GB';
    assert pgq.uncapture_table('q', 'w') = 6 and pgq.uncapture_table('q', 'big') = 6;
end $$;

-- silent, passing, closed, limited
set session_replication_role = local; insert into t values (3); set session_replication_role = origin;
select set_config('skytools.apply_token', pgq.apply_token('q'), false) is null as x \gset
insert into t values (4); reset skytools.apply_token;
do $$ begin
    assert events() is null;
    update pgq.queue set queue_disable_insert = true;
    assert refused('insert into t values (5)') = '55000 Insert into queue disallowed';
    update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 1;
    perform pgq.refresh_capture();
    assert refused('insert into t values (5), (6)') ~ 'allows max 1 events from one TX';
    update pgq.queue set queue_per_tx_limit = null;
    perform pgq.refresh_capture();
end $$;
-- mark
do $$ begin
    alter table t drop constraint t_pkey, add primary key (id);
    assert pgq.capture_table('q', 't', 'form=statement', 'capture_failure=mark') = 'statement';
    alter table t drop constraint t_pkey, add primary key (id) deferrable;
    set client_min_messages = error;
    update t set id = id + 100;
    assert (select lost_since is not null and lost_reason ~ 'the key is deferrable' from pgq.capture where rel_name = 't');
    reset client_min_messages;
    assert events() is null;
end $$;

-- from form to form, nothing twice and nothing left
do $$ begin
    assert pgq.capture_table('q', 't') = 'row';
    assert (select array_agg(tgname order by tgname) from pg_trigger where tgrelid = 't'::regclass and not tgisinternal) = array['!!_londiste_q', '!_londiste_q', '_londiste_q', '_londiste_q_truncate', '~_londiste_q']::name[];
    insert into t values (50); assert events() = array['I:id id=50&n&w&d'];
    alter table t drop constraint t_pkey; alter table t add primary key (id);
    assert pgq.capture_table('q', 't', 'form=statement') = 'statement';
    insert into t values (51); assert events() = array['I:id id=51&n&w&d'];
    assert pgq.capture_table('q', 't', 'form=generic') = 'generic';
    insert into t values (52); assert events() = array['I:id id=52&n&w&d'];
    assert pgq.capture_table('q', 't', 'form=statement') = 'statement' and pgq.uncapture_table('q', 't') = 6;
    assert not exists (select from pg_trigger where tgrelid = 't'::regclass and not tgisinternal) and not exists (select from pg_proc where proname ~ '^_capture_[0-9]');
    insert into t values (53); assert events() is null;
end $$;
