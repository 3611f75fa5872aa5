-- Generated capture: what it writes, whatever the session, the columns, and the DDL behind its back.
select pgq.create_queue('q');
\ir captured.psql

-- every type, against the generic trigger under canonical settings
create type mood as enum ('ok', E'x\x01y', 'a&b=c');
create type pair as (a int, b text);
create domain short as varchar(10); create domain when_ as timestamptz; create domain moody as mood;
create schema other; create table other.far (id int);
create table t (id int primary key, i2 int2 not null default 2, i8 int8, n numeric, b bool, u uuid, jb jsonb, j json,
    d date, ti time, tz timetz, ts timestamp, tt timestamptz, f4 float4, f8 float8 not null default 0.1, by bytea, tx text, vc varchar(20) not null default '',
    ch char(5), nm name, c1 "char", ip inet, ci cidr, o oid, ma macaddr, bi bit(3), vb varbit, tv tsvector, m mood, ar int[], at text[], co pair,
    iv interval, mo money, rc regclass, ra int4range, tr tstzrange, x xml, s short, w when_, md moody, p point, lsn pg_lsn, txs txid_snapshot,
    g int generated always as (id * 2) stored);
select pgq.capture_table('q', 't', 'trigger=gen', 'backup') = 'row' as ok \gset
create trigger old after insert or update or delete on t for each row execute function pgq.logutriga('q', 'backup');
set intervalstyle = iso_8601; set search_path = pg_catalog, pg_temp;
insert into public.t (id) values (1);
insert into public.t values (2, -1, 9000000000, 1.50, true, gen_random_uuid(), '{"a": [1, "é&="]}', '{"b" : "c"}', '2024-02-01', '01:02:03.5', '01:02:03+02', '2024-02-01 10:00',
    '2024-02-01 10:00+00', 0.1, 1e20, '\x00ff01', E'a b&c=d%e+f\x02\x03/~*"''\\\n', 'vc', 'ch', 'nm', 'x', '10.0.0.1/8', '10.0.0.0/8', 5, '08:00:2b:01:02:03', '101', '1', 'a fat cat',
    'ok', '{1,null}', '{"a b",null,"null"}', '(1,"x y")', '1 day -02:03', '1.5', 'other.far', '[1,2)', '[2024-02-01,)', '<a>b</a>', 's', '2024-02-01', 'a&b=c', '(1,2)', '1/0', '10:20:11');
insert into public.t (id, tx) values (3, E'\x01'), (4, ''), (5, 'é'), (6, E'a\x01\x02b'), (7, repeat('x y', 400000));
insert into public.t (id, m, md) values (8, E'x\x01y', 'a&b=c');
update public.t set n = 1.5, tx = null where id = 2; update public.t set tx = tx; delete from public.t where id in (1, 2, 6);
set intervalstyle = postgres; set search_path = public;
do $$ declare _bad record; begin
    assert (select count(*) from pgq.event_1) = 2 * 20, (select count(*) from pgq.event_1);
    for _bad in select ev_type, ev_data, ev_extra2, count(*) from pgq.event_1 group by 1, 2, 3 having count(*) % 2 <> 0 loop
        raise exception '% % (%)', _bad.ev_type, left(_bad.ev_data, 3000), _bad.ev_extra2;
    end loop;
    perform events();
end $$;

-- canonical text whatever the session says
drop trigger old on t; delete from t; select events() is null as x \gset
set datestyle = 'SQL, DMY'; set intervalstyle = sql_standard; set extra_float_digits = -5; set bytea_output = escape; set search_path = other, public;
insert into t (id, d, tt, f8, iv, by, rc) values (1, '01/02/2024', '01/02/2024 10:00:00+00', 1.0 / 3, '1 day -02:03', '\x00ff', 'far');
do $$ declare _e text := (events())[1]; begin
    assert _e ~ '&d=2024-02-01&' and _e ~ '&tt=2024-02-01\+10%3a00%3a00%2b00&' and _e ~ '&f8=0.3333333333333333\d*&' and _e ~ '&iv=P1DT-2H-3M&'
       and _e ~ '&by=%5cx00ff&' and _e ~ '&rc=other.far&', _e;
    assert current_setting('datestyle') = 'SQL, DMY' and current_setting('intervalstyle') = 'sql_standard';
end $$;
set search_path = public;
drop table t; create table t (id int primary key, d date, v text); select pgq.capture_table('q', 't') = 'row' as ok \gset
insert into t values (1, '01/02/2024', 'x');
begin; set local datestyle = 'German'; insert into t values (2, '01.02.2024', 'y'); savepoint s;
    do $$ begin assert current_setting('datestyle') = 'German, DMY'; end $$; rollback to s; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&d=2024-02-01&v=x', 'I:id id=2&d=2024-02-01&v=y'], _e::text;
    assert current_setting('datestyle') = 'SQL, DMY';
end $$;
reset all;

-- key change; operations; statements of all kinds
update t set id = id + 10; update t set v = 'z' where id = 11; delete from t where id = 12;
insert into t values (11, null, 'conflict') on conflict (id) do update set v = excluded.v;
with d as (delete from t returning id) insert into t select id + 1 from d;
copy t from stdin;
20	\N	copied
\.
truncate t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&d=2024-02-01&v=x', 'I:id id=11&d=2024-02-01&v=x', 'D:id id=2&d=2024-02-01&v=y', 'I:id id=12&d=2024-02-01&v=y',
        'U:id id=11&d=2024-02-01&v=z', 'D:id id=12&d=2024-02-01&v=y', 'U:id id=11&d=2024-02-01&v=conflict', 'D:id id=11&d=2024-02-01&v=conflict', 'I:id id=12&d&v', 'I:id id=20&d&v=copied', 'R '], _e::text;
end $$;

-- options
drop table t; create table t (id int, k int primary key, v text, w text);
select pgq.capture_table('q', 't', 'ignore=w', 'pkey=id,k', 'ev_extra1=''far.away''', 'tgflags=IU') = 'row' as ok \gset
insert into t values (1, 2, 'v', 'w'); update t set w = 'x'; update t set v = v; update t set v = 'y', w = 'y'; update t set id = 3; delete from t; truncate t;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id,k id=1&k=2&v=v far.away', 'U:id,k id=1&k=2&v=v far.away', 'U:id,k id=1&k=2&v=y far.away', 'D:id,k id=1&k=2&v=y far.away', 'I:id,k id=3&k=2&v=y far.away', 'R  far.away'], _e::text;
end $$;
do $$ begin
    assert pgq.capture_table('q', 't', 'when=true') = 'generic' and pgq.capture_table('q', 't', 'ev_extra3=v') = 'generic' and pgq.capture_table('q', 't', 'deny') = 'generic';
    assert not exists (select from pgq.capture where rel_name = 't');
    assert (select tgargs from pg_trigger where tgname = '_londiste_q' and tgrelid = 't'::regclass) = '\x710064656e7900';
    assert pgq.capture_table('q', 't') = 'row' and pgq.capture_table('q', 't') = 'row';
    assert (select count(*) from pg_trigger where tgrelid = 't'::regclass) = 4;
    assert (select substring(tgargs for 2) from pg_trigger where tgname = '_londiste_q' and tgrelid = 't'::regclass) = '\x7100';
    assert refused('select pgq.capture_table(''q'', ''nowhere'')') = '42P01 table does not exist: nowhere';
    assert refused('select pgq.capture_table(''none'', ''t'')') = '42704 No such queue';
    assert refused('select pgq.capture_table(''q'', ''t'', ''nonsense'')') = '22023 bad param to pgq trigger';
    assert refused('select pgq.capture_table(''q'', ''t'', ''form=x'')') ~ '^22023 form=x is not one of';
    assert pgq.uncapture_table('q', 't') = 4;
    assert not exists (select from pgq.capture where rel_name = 't');
end $$;
truncate t;

-- a deferrable key may be exchanged: no order of events can repeat that
drop table t; create table t (id int primary key deferrable, v int); select pgq.capture_table('q', 't') = 'row' as ok \gset
insert into t values (1, 1); update t set v = 2;
do $$ begin assert refused('update t set id = 2') = '0A000 primary key update not allowed: the key is deferrable'; perform events(); end $$;
-- no key
drop table t; create table t (v text); select pgq.capture_table('q', 't') = 'row' as ok \gset
insert into t values ('x');
do $$ begin assert refused('delete from t') = '55000 Update/Delete on table without pkey'; assert events() = array['I: v=x']; end $$;

-- DDL behind its back: each is followed
drop table t; create table t (id int primary key, k2 int not null, v int); select pgq.capture_table('q', 't') = 'row' as ok \gset
insert into t values (1, 2, 3);
alter table t add column n text; update t set n = 'new&';
alter table t rename v to renamed; update t set n = null;
alter table t alter renamed type text; update t set renamed = E'\x01a=b&c';
alter table t alter renamed type date using '2024-02-01'; set datestyle = german; update t set n = 'd'; reset datestyle;
alter table t drop column renamed; update t set n = 'e';
alter table t rename id to x; alter table t rename k2 to id; alter table t rename x to k2; update t set n = 'swapped';
alter table t drop constraint t_pkey; do $$ begin assert refused('update t set n = null') = '55000 Update/Delete on table without pkey'; end $$;
alter table t add primary key (id, k2); update t set n = 'key';
alter table t rename to t2; update t2 set n = 'name'; alter table t2 rename to t;
alter table t set schema other; update other.t set n = 'schema'; alter table other.t set schema public;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&k2=2&v=3', 'U:id id=1&k2=2&v=3&n=new%26', 'U:id id=1&k2=2&renamed=3&n', 'U:id id=1&k2=2&renamed=%01a%3db%26c&n', 'U:id id=1&k2=2&renamed=2024-02-01&n=d',
        'U:id id=1&k2=2&n=e', 'U:k2 k2=1&id=2&n=swapped', 'U:id,k2 k2=1&id=2&n=key', 'U:id,k2 k2=1&id=2&n=name public.t2', 'U:id,k2 k2=1&id=2&n=schema other.t'], _e::text;
end $$;
update t set n = 'slow or quick';
do $$ begin assert events() = array['U:id,k2 k2=1&id=2&n=slow+or+quick']; assert pgq.refresh_capture('q', 't') = 1 and pgq.refresh_capture() = 1; end $$;

-- partitions: a captured table stays captured when it is attached, and a partitioned table has the generic trigger
create table parent (id int primary key, k2 int not null, n text) partition by range (id);
do $$ begin assert pgq.capture_table('q', 'parent', 'ev_extra1=''public.parent''') = 'generic'; perform pgq.uncapture_table('q', 'parent'); end $$;
create table part (n text, gone int, k2 int not null, id int primary key); alter table part drop column gone;
select pgq.capture_table('q', 'part') = 'row' as ok \gset
alter table parent attach partition part for values from (0) to (10);
insert into parent values (1, 2, 'a'); update parent set n = 'b';
alter table parent detach partition part; insert into part (id, k2) values (2, 2);
create table child (n text, k2 int not null, id int primary key); select pgq.capture_table('q', 'child') = 'row' as ok \gset
create table mother (id int, n text, k2 int not null); alter table child inherit mother; insert into child (id, k2) values (1, 1); update mother set n = 'm';
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id n=a&k2=2&id=1 public.part', 'U:id n=b&k2=2&id=1 public.part', 'I:id n&k2=2&id=2 public.part', 'I:id n&k2=1&id=1 public.child', 'U:id n=m&k2=1&id=1 public.child'], _e::text;
end $$;

-- roles of the session: local is silent, the token passes
set session_replication_role = local; insert into t values (7, 7); set session_replication_role = origin;
select set_config('skytools.apply_token', pgq.apply_token('q'), false) is null as x \gset
insert into t values (8, 8); reset skytools.apply_token;
do $$ begin assert events() is null; end $$;
-- disabled queue; replica is exempt
update pgq.queue set queue_disable_insert = true;
do $$ begin assert refused('insert into t values (9, 9)') = '55000 Insert into queue disallowed'; end $$;
select pgq._settle_queue_state(1) is null as x \gset
do $$ begin assert refused('insert into t values (9, 9)') = '55000 Insert into queue disallowed'; end $$;
alter table t enable always trigger _londiste_q;
set session_replication_role = replica; insert into t values (9, 9); set session_replication_role = origin;
update pgq.queue set queue_disable_insert = false;
do $$ declare _e text[] := events(); begin assert _e = array['I:id,k2 k2=9&id=9&n'], _e::text; end $$;
-- limit per transaction
update pgq.queue set queue_per_tx_limit = 1;
do $$ begin assert refused('insert into t values (10, 1), (11, 1)') ~ 'allows max 1 events from one TX'; end $$;
update pgq.queue set queue_per_tx_limit = null;
insert into t values (10, 1), (11, 1); do $$ begin assert cardinality(events()) = 2; end $$;

-- large values: the url-encoded text of more than 1 GB has a name
create table big (id int primary key, v text); select pgq.capture_table('q', 'big') = 'row' as ok \gset
insert into big values (1, repeat('&', 3000000));
do $$ begin
    assert length((events())[1]) > 9000000;
    assert refused('insert into big values (2, repeat(''&'', 400000000))') = '54000 changes of table public.big cannot be logged: a row larger than 1 GB';
end $$;

-- a renamed schema; a key added where it is not the replica identity
create schema before; create table before.s (id int primary key, v text); select pgq.capture_table('q', 'before.s') = 'row' as ok \gset
truncate pgq.event_1_0;
insert into before.s values (1, 'a'); alter schema before rename to "After"; insert into "After".s values (2, 'b');
create table r (id int not null, v text); select pgq.capture_table('q', 'r') = 'row' as ok \gset
insert into r values (1, 'a'); alter table r replica identity full; insert into r values (2, 'b');
alter table r add primary key (id); insert into r values (3, 'c'); update r set v = 'd' where id = 1; delete from r where id = 2;
alter table r drop constraint r_pkey; do $$ begin assert refused('delete from r') = '55000 Update/Delete on table without pkey'; end $$;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&v=a before.s', 'I:id id=2&v=b After.s', 'I: id=1&v=a public.r', 'I: id=2&v=b public.r', 'I:id id=3&v=c public.r', 'U:id id=1&v=d public.r', 'D:id id=2&v=b public.r'], _e::text;
end $$;

-- capture_failure=mark: the write goes on, and the table says that it is not captured completely
create table m (id int primary key deferrable, v text);
do $$ begin
    assert refused('select pgq.capture_table(''q'', ''m'', ''capture_failure=x'')') ~ '^22023 capture_failure=x is not one of';
    assert refused('select pgq.capture_table(''q'', ''m'', ''deny'', ''capture_failure=mark'')') ~ '^0A000 capture_failure=mark is not possible for table m';
    assert pgq.capture_table('q', 'm', 'capture_failure=mark') = 'row';
    insert into m values (1, 'a');
    assert (select lost_since is null from pgq.capture where rel_name = 'm');
end $$;
do $$ begin
    set client_min_messages = error;
    update m set id = 2; update m set v = 'b';
    assert (select lost_since is not null and lost_reason = 'primary key update not allowed: the key is deferrable' from pgq.capture where rel_name = 'm');
    assert pgq.capture_table('q', 'm', 'capture_failure=mark') = 'row';
    assert (select lost_since is null and lost_reason is null from pgq.capture where rel_name = 'm');
    alter table m drop constraint m_pkey;
    delete from m; truncate m;
    assert (select lost_reason = 'Update/Delete on table without pkey' from pgq.capture where rel_name = 'm');
    perform pgq.refresh_capture('q', 'm');
    insert into m values (3, 'c'); delete from m;
    update pgq.queue set queue_disable_insert = true;
    assert refused('insert into m values (4)') = '55000 Insert into queue disallowed';
    update pgq.queue set queue_disable_insert = false;
    -- a limit says nothing about the table, altered or not
    perform pgq.capture_table('q', 'm', 'capture_failure=mark');
    update pgq.queue set queue_per_tx_limit = 0; perform pgq.refresh_capture('q', 'm');
    assert refused('insert into m values (4)') ~ '^PQ001', refused('insert into m values (4)');
    assert refused('alter table m add x int; insert into m values (4)') ~ '^PQ001', refused('alter table m add x int; insert into m values (4)');
    assert (select lost_since is null from pgq.capture where rel_name = 'm');
    update pgq.queue set queue_per_tx_limit = null; perform pgq.refresh_capture('q', 'm');
    reset client_min_messages;
end $$;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&v=a public.m', 'R  public.m', 'I: id=3&v=c public.m'], _e::text;
end $$;

-- texts of all kinds in one row, and what is left of them
create table w (id int primary key, a text, b varchar(50) not null default '', c char(3), d text); select pgq.capture_table('q', 'w') = 'row' as ok \gset
insert into w values (1, 'plain', 'x@y.ee', 'c', 'a, b'), (2, 'õäöü', '日本語 text', null, E'tab\tnew\nline'), (3, '', 'a&b=c%d+e', '', '100%'),
    (4, E'\x02', E'\x03', 'x', E'\x02\x03é'), (5, null, '~^|<>`$*#', null, null), (6, '🐘', repeat('é~', 20), 'é', ''),
    (7, (select string_agg(chr(g) || 'x', '') from generate_series(160, 260) g), '', null, (select string_agg(chr(g), '') from generate_series(19968, 20068) g));
set standard_conforming_strings = off; set escape_string_warning = off; insert into w values (8, 'õ''', '~', 'x', E'\\1'); reset standard_conforming_strings;
do $$ declare _e text[] := events(); begin
    assert _e = array(select format('I:id id=%s&a%s&b=%s&c%s&d%s public.w', id, '=' || pgq._urlencode(a), pgq._urlencode(b), case when c is not null then '=' || pgq._urlencode(format('%s', c)) end, '=' || pgq._urlencode(d))
                        from w order by id), _e::text;
end $$;

-- code that is written anew inside of a statement runs with the settings that the function had before
create table s (id int primary key, n int, t timestamptz); select pgq.capture_table('q', 's') = 'row' as ok \gset
set datestyle = german; set timezone = 'UTC';
alter table s alter n type pg_lsn using null;
insert into s select g, '0/1', '2024-02-01' from generate_series(1, 3) g;
alter table s add i interval; insert into s select g, null, null, '-1 day +2:03' from generate_series(4, 5) g; update s set n = '0/2' where id > 3;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&n=0%2f1&t=2024-02-01+00%3a00%3a00%2b00 public.s', 'I:id id=2&n=0%2f1&t=2024-02-01+00%3a00%3a00%2b00 public.s',
        'I:id id=3&n=0%2f1&t=2024-02-01+00%3a00%3a00%2b00 public.s', 'I:id id=4&n&t&i=P-1DT2H3M public.s', 'I:id id=5&n&t&i=P-1DT2H3M public.s',
        'U:id id=4&n=0%2f2&t&i=P-1DT2H3M public.s', 'U:id id=5&n=0%2f2&t&i=P-1DT2H3M public.s'], _e::text;
end $$;

-- what is only noted leaves the session's settings as they were, too
create table l (id int primary key deferrable, t timestamptz); create table l2 (id int, t timestamptz, i interval);
set client_min_messages = error; set intervalstyle = sql_standard;
do $$ begin
    perform pgq.capture_table('q', 'l', 'capture_failure=mark'), pgq.capture_table('q', 'l2', 'capture_failure=mark', 'form=statement');
    insert into l values (1, now()); insert into l2 values (1, now(), '1 day');
    perform events();
    update l set id = 2; update l2 set t = null;
    assert current_setting('datestyle') ~ 'German' and current_setting('intervalstyle') = 'sql_standard';
    assert events() is null and (select count(*) = 2 from pgq.capture where rel_name in ('l', 'l2') and lost_since is not null);
    alter table l2 alter i type text;
    update l2 set t = now();
    assert current_setting('datestyle') ~ 'German' and current_setting('intervalstyle') = 'sql_standard';
end $$;
reset client_min_messages; reset intervalstyle; reset datestyle; reset timezone;
