-- create_trigger: flags, functions, SKIP, deny, key columns, order, untouched when nothing differs.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table t1 (id int primary key, v text);
create function pg_temp.trg(args text[], node text default 'root') returns text as $$
    select concat_ws(' ', f.ret_code, f.ret_note, f.trigger_name, pg_temp.triggers('t1'))
      from londiste.create_trigger('q', 'public.t1', args, 'public.t1', node) f;
$$ language sql;
select pg_temp.eq(pg_temp.trg(null), '200 OK _londiste_q _londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');
-- unchanged: the very same triggers
create temp table before as select oid, xmin::text as v from pg_trigger where tgrelid = 't1'::regclass;
select pg_temp.trg(null);
select pg_temp.rows('select oid from before except select oid from pg_trigger', null);
select pg_temp.rows('select v from before except select xmin::text from pg_trigger', null);
begin;
select pg_temp.trg(null);
select pg_temp.rows('select 1 from pg_locks where relation = ''t1''::regclass and mode <> ''AccessShareLock''', null);
rollback;
-- replaced, without a lock that stops readers
begin;
select pg_temp.trg(array['backup']);
select pg_temp.rows('select mode from pg_locks where relation = ''t1''::regclass and mode = ''AccessExclusiveLock''', null);
rollback;
select pg_temp.eq(pg_temp.trg(array['tgflags=zQiu', 'when=true', null, 'ignore=v']), '200 OK _londiste_q _londiste_q 17,5 sqltriga q when=true ignore=v |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.trg(array['tgflags=QLJd']), '200 OK _londiste_q _londiste_q 9 jsontriga q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.trg(array['TGFLAGS=QL', 'merge_all', 'no_merge', 'expect_sync', 'skip_truncate']), '200 OK _londiste_q _londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.trg(array['tgflags=BA']), '200 OK _londiste_q _londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.trg(array['tgflags=B']), '200 OK _londiste_q _londiste_q 31 logutriga q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.trg(array['ignore=it''s \back'], 'leaf'), '200 OK _londiste_q _londiste_q 29 logutriga q ignore=it''s \\back deny |_londiste_q_truncate 32 sqltriga q deny ');
select pg_temp.eq(pg_temp.trg(array['no_triggers']), '201 Trigger not created _londiste_q 29 logutriga q ignore=it''s \\back deny |_londiste_q_truncate 32 sqltriga q deny ');
select pg_temp.eq(left(pg_temp.trg(array['virtual_table']), 3), '201');
-- a disabled trigger captures nothing: put right; ENABLE ALWAYS is the operator's choice
select pg_temp.trg(null);
alter table t1 disable trigger _londiste_q;
select pg_temp.trg(null);
select pg_temp.rows('select tgenabled from pg_trigger where tgname = ''_londiste_q''', '(O)');
alter table t1 enable always trigger _londiste_q;
select pg_temp.trg(null);
select pg_temp.rows('select tgenabled from pg_trigger where tgname = ''_londiste_q''', '(A)');
alter table t1 enable trigger _londiste_q;

-- SKIP: alone it is last and says so; repeated it is still one trigger; and back
select pg_temp.eq(pg_temp.trg(array['tgflags=BS']), '200 OK zzz__londiste_q _londiste_q_truncate 32 sqltriga q |zzz__londiste_q 31 logutriga q SKIP ');
select pg_temp.eq(pg_temp.trg(array['tgflags=B', 'skip']), '200 OK zzz__londiste_q _londiste_q_truncate 32 sqltriga q |zzz__londiste_q 31 logutriga q SKIP ');
insert into t1 values (1, 'event only');
select pg_temp.rows('select count(*) from t1', '(0)');
select pg_temp.eq(pg_temp.events('q'), 'I:id id=1&v=event+only public.t1');
select pg_temp.eq(pg_temp.trg(array['tgflags=S']), '403 SKIP works in a BEFORE trigger only, table public.t1: use --trigger-flags with B _londiste_q_truncate 32 sqltriga q |zzz__londiste_q 31 logutriga q SKIP ');
select pg_temp.eq(pg_temp.trg(null), '200 OK _londiste_q _londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');
-- beside another's SKIP trigger
create trigger theirs before insert on t1 for each row execute function pgq.sqltriga('other', 'SKIP');
select pg_temp.eq(left(pg_temp.trg(null), 50), '403 AFTER trigger cannot work with SKIP trigger(s)');
select pg_temp.eq(left(pg_temp.trg(array['tgflags=BS']), 150),
    '200 OK _londiste_q _londiste_q 31 logutriga q |_londiste_q_truncate 32 sqltriga q |zzz_theirs 7 sqltriga other SKIP ');
create trigger theirs2 before insert on t1 for each row execute function pgq.sqltriga('other', 'SKIP');
select pg_temp.eq(left(pg_temp.trg(array['tgflags=BS']), 26), '405 Multiple SKIP triggers');
drop trigger zzz_theirs on t1;
drop trigger theirs2 on t1;

-- names
select pg_temp.eq(f.ret_code || f.ret_note, '404Table does not exist: public.nope') from londiste.create_trigger('q', 'nope', null, null, 'root') f;
select pg_temp.eq(f.ret_code || f.trigger_name, '200_londiste_q') from londiste.create_trigger('q', 'public.t1', null, null, 'root') f;
select londiste.create_trigger('q', 'x.glob''al', null, 'public.t1', 'root');
select pg_temp.eq(split_part(pg_temp.triggers('t1'), '|', 1), '_londiste_q 25,5,27 generated q ev_extra1=''x.glob''''al'' ');
select londiste.create_trigger('q', 'x.global', array['ev_extra1=''mine'''], 'public.t1', 'root');
select pg_temp.eq(pg_temp.triggers('t1'), '_londiste_q 25,5,27 generated q ev_extra1=''mine'' |_londiste_q_truncate 32 sqltriga q ');
select londiste.drop_table_triggers('q', 't1');
select pg_temp.eq(pg_temp.triggers('t1'), '-');
-- taken off by queue, not by name, and not from neighbours
create trigger odd after insert on t1 for each row execute function pgq.logutriga('q', 'backup');
create trigger neighbour after insert on t1 for each row execute function pgq.logutriga('q2');
create trigger _londiste_fake after insert on t1 for each row execute function pg_catalog.suppress_redundant_updates_trigger();
select londiste.drop_table_triggers('q', 'public.t1'), londiste.drop_table_triggers('q', 'public.nope');
select pg_temp.eq(pg_temp.triggers('t1'), '_londiste_fake 5 suppress_redundant_updates_trigger |neighbour 5 logutriga q2 ');
drop trigger _londiste_fake on t1;
drop trigger neighbour on t1;

-- a queue name too long for a trigger name
select londiste.create_trigger(repeat('long', 20), 'public.t1', null, null, 'root'), londiste.create_trigger(repeat('long', 21), 'public.t1', null, null, 'root');
select pg_temp.rows('select count(*), max(length(tgname)) < 64 from pg_trigger where tgrelid = ''t1''::regclass', '(6,t)');
select londiste.drop_table_triggers(repeat('long', 20), 'public.t1'), londiste.drop_table_triggers(repeat('long', 21), 'public.t1');
select pg_temp.eq(pg_temp.triggers('t1'), '-');

-- key columns that events cannot name
create table commakey ("a,b" int primary key, v text);
select pg_temp.eq(f.ret_code::text || (f.ret_note like '%"a,b"%public.commakey%'), '400true') from londiste.local_add_table('q', 'commakey') f;
select pg_temp.rows('select * from londiste.get_table_list(''q'')', null);
select pg_temp.eq(pg_temp.triggers('commakey'), '-');
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_table('q', 'commakey', array['tgflags=Q']) f;
-- schema and table names that events cannot carry
create schema "dot.ted";
create table "dot.ted".t (id int primary key);
create table "dot.table" (id int primary key);
select pg_temp.eq(f.ret_code::text || (f.ret_note like 'Schema of table dot.ted.t has a dot%'), '400true') from londiste.local_add_table('q', 'dot.ted.t') f;
select pg_temp.eq(f.ret_code::text || (f.ret_note like 'Table public.dot.table has a dot%'), '400true') from londiste.local_add_table('q', 'public.dot.table') f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_table('q', 'undotted', null, null, 'public.dot.table') f;

-- odd global names reach row and truncate events
create table odd_dest (id int primary key);
select londiste.local_add_table('q', 'S.it''s \back', null, null, 'odd_dest');
insert into odd_dest values (1);
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'I:id id=1 S.it''s \back');
truncate odd_dest;
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), case when split_part(pgq.version(), '.', 1) >= '4' then 'R  S.it''s \back' else 'R  public.odd_dest' end);

-- another trigger comes first
create function pg_temp.noop() returns trigger as $$ begin return new; end; $$ language plpgsql;
create table t2 (id int primary key);
create trigger "AAA" before insert on t2 for each row execute function pg_temp.noop();
select pg_temp.eq(f::text, '(301,"Table added: public.t2, but londiste trigger is not first: AAA")') from londiste.local_add_table('q', 't2') f;
create table t3 (id int primary key);
create trigger zlast before insert on t3 for each row execute function pg_temp.noop();
select pg_temp.eq(f::text, '(200,"Table added: public.t3")') from londiste.local_add_table('q', 't3') f;

-- handler changes
select pg_temp.eq(f::text, '(200,"Handler changed for table: public.t3")') from londiste.local_change_handler('q', 'public.t3', array['backup'], 'h=1') f;
select pg_temp.eq(split_part(pg_temp.triggers('t3'), '|', 1), '_londiste_q 25,5,27 generated q backup ');
select pg_temp.eq(f::text, '(200,"Table handler updated with no triggers: public.t3")') from londiste.local_change_handler('q', 't3', array['no_triggers'], 'h=2') f;
select pg_temp.eq(f.ret_code::text, '403') from londiste.local_change_handler('q', 't3', array['skip'], 'h=3') f;
select pg_temp.eq(table_attrs, 'h=2') from londiste.get_table_list('q') where table_name = 'public.t3';
select pg_temp.eq(f::text, '(404,"no such local table: public.tx")') from londiste.local_change_handler('q', 'public.tx', null, null) f;
create table nokey (v text);
select londiste.local_add_table('q', 'nokey', array['tgflags=I'], 'h=1');
select pg_temp.eq(f::text, '(400,"Primary key missing on table: public.nokey")') from londiste.local_change_handler('q', 'nokey', array['backup'], 'h=2') f;
select pg_temp.rows('select table_attrs from londiste.get_table_list(''q'') where table_name = ''public.nokey''', '(h=1)');
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_change_handler('q', 'nokey', array['tgflags=I', 'backup'], 'h=2') f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_change_handler('q', 'nokey', array['no_triggers'], 'h=3') f;
select pg_temp.eq(f::text, '(400,"No such set: zz")') from londiste.local_change_handler('zz', 'public.t3', null, null) f;
select pg_temp.rows('select londiste.is_replica_func(''pgq.logutriga''::regproc), londiste.is_replica_func(''pgq.create_queue''::regproc), londiste.is_replica_func(1)', '(t,f,f)');
