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

-- forms, and what a change does that cannot be captured
create function pg_temp.how(tbl text) returns text as $$
    select concat_ws(' ', c.form, c.failure, c.operations, nullif(array_to_string(c.options, ','), '')) from pgq.capture c where c.queue_name = 'q' and c.rel_name = tbl;
$$ language sql;
select pg_temp.eq(pg_temp.trg(array['form=statement', 'capture_failure=mark']), '200 OK _londiste_q _londiste_q 4 generated q |_londiste_q_delete 8 generated q |_londiste_q_open 30 _capture_open q |_londiste_q_pin 9 generated q |_londiste_q_truncate 32 sqltriga q |_londiste_q_update 16 generated q ');
select pg_temp.eq(pg_temp.how('t1'), 'statement mark IUD');
insert into t1 values (1, 'a'), (2, 'b'); update t1 set id = id - 1;
select pg_temp.eq(pg_temp.events('q'), 'I:id id=1&v=a public.t1|I:id id=2&v=b public.t1|D:id id=2&v=b public.t1|U:id id=1&v=b public.t1|I:id id=0&v=a public.t1');
delete from t1; truncate pgq.event_template;
select pg_temp.eq(pg_temp.trg(array['form=row', 'ignore=v', 'capture_failure=mark']), '200 OK _londiste_q _londiste_q 25,5,27 generated q ignore=v |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.how('t1'), 'row mark IUD ignore=v');
select pg_temp.eq(pg_temp.trg(array['form=generic']), '200 OK _londiste_q _londiste_q 25,5 logutriga q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.how('t1'), null);
select pg_temp.trg(null);
select pg_temp.eq(pg_temp.how('t1'), 'row fail IUD');
-- those that are not, or not here: nothing is changed
create temp table before_forms as select oid, xmin::text as v from pg_trigger where tgrelid = 't1'::regclass;
create table parted (id int primary key) partition by range (id);
select pg_temp.eq(f.ret_code || ' ' || f.ret_note, w.note) from (values
    ('t1', '{form=statment}', 'root', '400 No such trigger form: statment (there are row, generic and statement)'),
    ('t1', '{capture_failure=ignore}', 'root', '400 No such capture_failure: ignore (there are fail and mark)'),
    ('t1', '{form=statement}', 'leaf', '400 Table public.t1 cannot be captured with form=statement: this node is a leaf, which captures nothing; leave that out'),
    ('t1', '{form=generic,capture_failure=mark}', 'root', '400 Table public.t1 cannot be captured with capture_failure=mark: form=generic is not generated; leave out one of them'),
    ('t1', '{form=statement,capture_failure=mark,tgflags=Q}', 'root', '400 Table public.t1 cannot be captured with form=statement and capture_failure=mark: flags B, S, Q and J, deny, expressions and columns named _pgq_ev_* need the generic trigger; leave that out, or them'),
    ('t1', '{form=statement,when=true}', 'root', '400 Table public.t1 cannot be captured with form=statement: flags B, S, Q and J, deny, expressions and columns named _pgq_ev_* need the generic trigger; leave that out, or them'),
    ('t1', '{capture_failure=mark,tgflags=B}', 'root', '400 Table public.t1 cannot be captured with capture_failure=mark: flags B, S, Q and J, deny, expressions and columns named _pgq_ev_* need the generic trigger; leave that out, or them'),
    ('parted', '{form=statement}', 'root', '400 Table public.parted cannot be captured with form=statement: it is partitioned, which needs the generic trigger; leave that out, or add its partitions in its place')) w (tbl, args, node, note),
    lateral londiste.create_trigger('q', w.tbl, w.args::text[], null, w.node) f;
select pg_temp.fails(format('select * from londiste.local_add_table(''q'', ''t1'', %L)', '{form=statement,ignore=v}'), '0A000', 'form=statement is not possible with ignore= and backup');
select pg_temp.fails(format('select * from londiste.local_add_table(''q'', ''t1'', %L)', '{form=statement,tgflags=I}'), '0A000', 'form=statement captures all operations%');
select pg_temp.rows('select oid, v from before_forms except select oid, xmin::text from pg_trigger', null);
-- the original's pgq: nothing is generated, and that is said
begin;
alter function pgq._capture_possible(oid, text[]) rename to unknown_to_the_original;
select pg_temp.eq(f.ret_code || ' ' || f.ret_note, '400 Table public.t1 cannot be captured with form=statement: the pgq of this database is the original''s, which does not generate capture; run "skytools install", or leave that out')
  from londiste.create_trigger('q', 't1', '{form=statement}', null, 'root') f;
select londiste.drop_table_triggers('q', 't1');
select pg_temp.eq(pg_temp.trg('{backup}'), '200 OK _londiste_q _londiste_q 29 logutriga q backup |_londiste_q_truncate 32 sqltriga q ');
rollback;

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
-- what was chosen for the capture stays
create table h (id int primary key, v text);
create function pg_temp.change(variadic args text[] default '{}') returns text as $$
    select concat_ws(' ', f.ret_code, f.ret_note, '|', pg_temp.how('h')) from londiste.local_change_handler('q', 'h', args, 'h=' || clock_timestamp()) f;
$$ language sql;
select pg_temp.eq(f::text, '(200,"Table added: public.h")') from londiste.local_add_table('q', 'h', '{form=statement,capture_failure=mark}') f;
select pg_temp.eq(pg_temp.change(), '200 Handler changed for table: public.h | statement mark IUD');
select pg_temp.eq(pg_temp.change('capture_failure=fail'), '200 Handler changed for table: public.h | statement fail IUD');
select pg_temp.eq(pg_temp.change('capture_failure=mark', 'form=row'), '200 Handler changed for table: public.h | row mark IUD');
select pg_temp.eq(pg_temp.change('ignore=v', 'tgflags=IU'), '200 Handler changed for table: public.h | row mark IU ignore=v');
select pg_temp.eq(pg_temp.change('form=statement'), '200 Handler changed for table: public.h | statement mark IUD');
select pg_temp.eq(pg_temp.change('no_triggers'), '200 Table handler updated with no triggers: public.h | statement mark IUD');
-- and is named where it cannot
select pg_temp.eq(pg_temp.change('backup'), '301 Handler changed for table: public.h, but: without form=statement now: form=statement is not possible with ignore= and backup | row mark IUD backup');
select pg_temp.change('form=statement');
select pg_temp.eq(pg_temp.change('tgflags=Q'), '301 Handler changed for table: public.h, but: without form=statement and capture_failure=mark now: '
    'Table public.h cannot be captured with form=statement and capture_failure=mark: flags B, S, Q and J, deny, expressions and columns named _pgq_ev_* need the generic trigger; leave that out, or them |');
-- generic by its arguments, and by choice
select pg_temp.eq(pg_temp.change(), '200 Handler changed for table: public.h | row fail IUD');
select pg_temp.eq(pg_temp.change('form=generic'), '200 Handler changed for table: public.h |');
select pg_temp.eq(pg_temp.change('backup'), '200 Handler changed for table: public.h |');
select pg_temp.eq(split_part(pg_temp.triggers('h'), '|', 1), '_londiste_q 25,5 logutriga q backup ');
-- a trigger that was dropped, and changes that were lost
select pg_temp.change('form=statement', 'capture_failure=mark');
drop trigger _londiste_q on h;
select pg_temp.eq(pg_temp.change(), '200 Handler changed for table: public.h | statement mark IUD');
alter table h drop constraint h_pkey; insert into h values (1, 'a'); set client_min_messages = error; delete from h; set client_min_messages = warning;
alter table h add primary key (id);
select pg_temp.eq(regexp_replace(pg_temp.change(), '[0-9]{4}-.*?: ', '* '), '301 Handler changed for table: public.h, but: changes were not captured since * Update/Delete on table without pkey; copy the table again below (resync) | statement mark IUD');
select pg_temp.rows('select * from pgq.capture where lost_since is not null', null);
-- an error is that of the arguments, and changes nothing
select pg_temp.eq(pg_temp.change('skip'), '403 Trigger creation failed for table public.h: SKIP works in a BEFORE trigger only, table public.h: use --trigger-flags with B | statement mark IUD');
select pg_temp.eq(pg_temp.change('form=statment'), '400 Trigger creation failed for table public.h: No such trigger form: statment (there are row, generic and statement) | statement mark IUD');
select pg_temp.fails('select pg_temp.change(''form=statement'', ''ignore=v'')', '0A000', 'form=statement is not possible with ignore= and backup');
select pg_temp.eq(pg_temp.how('h'), 'statement mark IUD');
create table nokey (v text);
select londiste.local_add_table('q', 'nokey', array['tgflags=I'], 'h=1');
select pg_temp.eq(f::text, '(400,"Primary key missing on table: public.nokey")') from londiste.local_change_handler('q', 'nokey', array['backup'], 'h=2') f;
select pg_temp.rows('select table_attrs from londiste.get_table_list(''q'') where table_name = ''public.nokey''', '(h=1)');
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_change_handler('q', 'nokey', array['tgflags=I', 'backup'], 'h=2') f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_change_handler('q', 'nokey', array['no_triggers'], 'h=3') f;
select pg_temp.eq(f::text, '(400,"No such set: zz")') from londiste.local_change_handler('zz', 'public.t3', null, null) f;
select pg_temp.rows('select londiste.is_replica_func(''pgq.logutriga''::regproc), londiste.is_replica_func(''pgq.create_queue''::regproc), londiste.is_replica_func(1)', '(t,f,f)');
