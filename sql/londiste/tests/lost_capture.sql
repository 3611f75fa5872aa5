-- _lost_capture, _remember_capture, _restore_capture: triggers that are gone are told and put back as they were, those that were never wanted are not.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create function pg_temp.lost(queue text default 'q') returns text language sql as $$
    select coalesce(string_agg(table_name || ': ' || problem || case when denies then ' (denies)' else '' end || case when in_sync then '' else ' (in copy)' end, '|' order by table_name), '-')
      from londiste._lost_capture(queue) $$;
create function pg_temp.noted(tbl text, queue text default 'q') returns text language sql as $$
    select trg_args::text from londiste.table_capture where queue_name = queue and table_name = 'public.' || tbl $$;
create function pg_temp.restored(tbl text, args text[] default '{}', queue text default 'q') returns text language sql as $$
    select concat_ws(' ', f.ret_code, f.ret_note) from londiste._restore_capture(queue, 'public.' || tbl, args) f $$;

create table plain (id int primary key, v text);
create table parts (id int primary key, v text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);
create table parts_2 partition of parts for values from (100) to (200);
create table args (id int primary key, v text);
create table skip (id int primary key, v text);
create table inserts (v text);
create table none (id int primary key);
create table other (id int primary key);
create table here (id int primary key);
select londiste.local_add_table('q', 'plain', '{form=generic}');
select londiste.local_add_table('q', 'parts');
select londiste.local_add_table('q', 'args', '{when=id > 1,backup,tgflags=UD}');
select londiste.local_add_table('q', 'skip', '{tgflags=BQS}');
select londiste.local_add_table('q', 'inserts', '{tgflags=I,form=generic}');
select londiste.local_add_table('q', 'none', '{no_triggers}');
select londiste.local_add_table('q', 'virtual', '{virtual_table}');
select londiste.local_add_table('q', 'away', null, null, 'here');
-- by hand, beside no_triggers or not
begin;
select londiste.local_add_table('q', 'other', '{no_triggers}');
create trigger mine after insert or update or delete on other for each row execute function pgq.logutriga('q', 'ignore=x');
commit;
select pg_temp.eq(pg_temp.lost(), '-');
select pg_temp.eq(string_agg(table_name || ' ' || trg_args::text, '|' order by table_name),
    'public.args {"when=id > 1",backup,tgflags=UD}|public.away {}|public.inserts {tgflags=I}|public.none {no_triggers}|public.other {ignore=x}'
    '|public.parts {}|public.plain {}|public.skip {tgflags=IUDQBS}|public.virtual {no_triggers}') from londiste.table_capture;
select pg_temp.eq(pg_temp.triggers('here'), '_londiste_q 25,5,27 generated q ev_extra1=''public.away'' |_londiste_q_truncate 32 sqltriga q ev_extra1=''public.away'' ');

-- what somebody left out by hand is not lost
select pgq.capture_table('q', 'public.plain', 'form=generic', 'tgflags=IU');
select pg_temp.eq(pg_temp.lost(), '-');
select pgq.capture_table('q', 'public.plain', 'form=generic', 'tgflags=ID');
select pg_temp.eq(pg_temp.lost(), '-');
select pgq.capture_table('q', 'public.plain', 'form=generic');
-- another trigger in its place captures it, too
begin;
drop trigger _londiste_q on plain;
drop trigger "!_londiste_q" on plain;
select pg_temp.eq(pg_temp.lost(), 'public.plain: trigger _londiste_q is missing: nothing is captured');
create trigger another after insert or update or delete on plain for each row execute function pgq.logutriga('other queue');
select pg_temp.eq(pg_temp.lost(), 'public.plain: trigger _londiste_q is missing: nothing is captured');
create trigger yet_another after insert or update or delete on plain for each row execute function pgq.jsontriga('q');
select pg_temp.eq(pg_temp.lost(), '-');
rollback;

-- gone: all, or one of two
create temp table before as select t::text as t, pg_temp.triggers(('public.' || t)::regclass) as had from unnest('{parts,args,skip,inserts,other,here}'::text[]) t;
drop trigger "!_londiste_q" on plain;
drop trigger _londiste_q on parts;
drop trigger "!_londiste_q" on parts;
drop trigger "!_londiste_q" on args;
drop trigger zzz__londiste_q on skip;
drop trigger _londiste_q on inserts;
drop trigger mine on other;
select pgq.uncapture_table('q', 'public.here');
select pg_temp.eq(pg_temp.lost(),
    'public.args: trigger "!_londiste_q" is missing: updates and deletes are not captured'
    '|public.away: trigger _londiste_q is missing: nothing is captured'
    '|public.inserts: trigger _londiste_q is missing: inserts are not captured'
    '|public.other: trigger _londiste_q is missing: nothing is captured'
    '|public.parts: trigger _londiste_q is missing: nothing is captured'
    '|public.plain: trigger "!_londiste_q" is missing: updates and deletes are not captured'
    '|public.skip: trigger zzz__londiste_q is missing: nothing is captured');
-- other attributes do not make that right
select londiste.local_set_table_attrs('q', 'parts', 'x=1');
select pg_temp.eq(pg_temp.noted('parts'), '{}');
select pg_temp.rows('select t, pg_temp.restored(case t when ''here'' then ''away'' else t end) from before where t <> ''other'' union all select ''plain'', pg_temp.restored(''plain'', ''{form=generic}'') order by 1',
    '(args,"200 OK")|(here,"200 OK")|(inserts,"200 OK")|(parts,"200 OK")|(plain,"200 OK")|(skip,"200 OK")');
select pg_temp.eq(pg_temp.restored('other'), '200 OK');
select pg_temp.eq(pg_temp.lost(), '-');
select pg_temp.rows('select t, pg_temp.triggers((''public.'' || t)::regclass) from before where t not in (''other'', ''inserts'') except select * from before', null);
select pg_temp.eq(pg_temp.triggers('plain'), '_londiste_q 25,5 logutriga q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.triggers('other'), '_londiste_q 25,5,27 generated q ignore=x |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.triggers('inserts'), '_londiste_q 5 generated q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(pg_temp.noted('args') || pg_temp.noted('skip') || pg_temp.noted('inserts'), '{"when=id > 1",backup,tgflags=UD}{tgflags=IUDQBS}{tgflags=I}');

-- one of somebody's that is left would log inserts twice
select londiste.local_add_table('q', 'twice', '{virtual_table}');
create table twice (id int primary key);
create trigger mine after insert or update or delete on twice for each row execute function pgq.logutriga('q');
select londiste._remember_capture('q', 'public.twice');
drop trigger mine on twice;
create trigger mine after insert on twice for each row execute function pgq.logutriga('q');
select pg_temp.eq(pg_temp.lost(), 'public.twice: trigger "!_londiste_q" is missing: updates and deletes are not captured');
select pg_temp.eq(pg_temp.restored('twice'), '200 OK');
select pg_temp.eq(pg_temp.triggers('twice'), '_londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');

-- disabled; of one partition alone
alter table parts disable trigger _londiste_q;
alter table plain enable replica trigger _londiste_q;
select pg_temp.eq(pg_temp.lost(),
    'public.parts: partition public.parts_1: trigger _londiste_q is disabled: inserts are not captured|public.plain: trigger _londiste_q is enabled for replicas only: inserts are not captured');
select pg_temp.restored('parts'), pg_temp.restored('plain', '{form=generic}');
select pg_temp.eq(pg_temp.lost(), '-');
alter table parts_2 disable trigger all;
select pg_temp.eq(pg_temp.lost(), 'public.parts: partition public.parts_2: trigger "!_londiste_q" is disabled: nothing is captured');
select pg_temp.restored('parts');
select pg_temp.eq(pg_temp.lost(), '-');
alter table parts enable always trigger _londiste_q;
alter table parts enable always trigger "!_londiste_q";
select pg_temp.eq(pg_temp.lost(), '-');

-- another table of that name; none is none of ours
create table plain_2 (like plain including all);
drop table plain;
alter table plain_2 rename to plain;
select pg_temp.eq(pg_temp.lost(), 'public.plain: trigger _londiste_q is missing: nothing is captured');
drop table plain;
select pg_temp.eq(pg_temp.lost(), '-');
create table plain (id int primary key);
-- as it is to stay, until somebody says otherwise
select londiste._remember_capture('q', 'public.plain');
select pg_temp.eq(pg_temp.noted('plain') || pg_temp.lost(), '{no_triggers}-');
select londiste.local_change_handler('q', 'plain', '{tgflags=I,form=generic}', 'handler=x');
select pg_temp.eq(pg_temp.noted('plain') || pg_temp.lost(), '{tgflags=I}-');
-- forgotten with the table
select londiste.local_remove_table('q', 'plain');
select pg_temp.eq(pg_temp.noted('plain'), null);
begin;
select londiste.local_add_table('q', 'plain', '{tgflags=IU,form=generic}');
select londiste.local_remove_table('q', 'plain');
select londiste.local_add_table('q', 'plain', '{tgflags=ID,form=generic}');
commit;
select pg_temp.eq(pg_temp.noted('plain'), '{tgflags=ID}');
select londiste.local_remove_table('q', 'plain');

-- nobody noted anything, as in what was taken over: any trigger will do, on a leaf none
delete from londiste.table_capture;
drop trigger "!_londiste_q" on parts;
select pg_temp.eq(pg_temp.lost(), 'public.none: trigger _londiste_q is missing: nothing is captured');
update londiste.table_info set table_attrs = 'handler=vtable' where table_name = 'public.none';
select pg_temp.eq(pg_temp.lost(), '-');
update londiste.table_info set table_attrs = null where table_name = 'public.none';
select pg_temp.eq(pg_temp.restored('none'), '200 OK');
select pg_temp.eq(pg_temp.lost(), '-');
select londiste.local_remove_table('q', table_name) from londiste.table_info where queue_name = 'q';

-- a branch captures, but not while it copies; a leaf denies
create table leaf_parts (id int primary key) partition by range (id);
create table leaf (id int primary key);
select londiste.global_add_table('b', 'parts'), londiste.global_add_table('l', t) from unnest('{leaf_parts,leaf,none}'::text[]) t;
select londiste.local_add_table('b', 'parts', null);
select londiste.local_add_table('l', t, '{no_merge}') from unnest('{leaf_parts,leaf}'::text[]) t;
select londiste.local_add_table('l', 'none', '{no_merge,no_triggers}');
select pg_temp.eq(pg_temp.lost('b') || pg_temp.lost('l'), '--');
select pg_temp.eq(pg_temp.noted('parts', 'b') || pg_temp.noted('leaf_parts', 'l') || pg_temp.noted('leaf', 'l') || pg_temp.noted('none', 'l'), '{}{}{}{no_triggers}');
drop trigger _londiste_b on parts;
drop trigger "!_londiste_b" on parts;
drop trigger _londiste_l on leaf_parts;
drop trigger _londiste_l on leaf;
select pg_temp.eq(pg_temp.lost('b'), 'public.parts: trigger _londiste_b is missing: nothing is captured (in copy)');
update londiste.table_info set merge_state = 'ok' where local;
select pg_temp.eq(pg_temp.lost('b'), 'public.parts: trigger _londiste_b is missing: nothing is captured');
select pg_temp.eq(pg_temp.lost('l'), 'public.leaf: trigger _londiste_l is missing: changes made here are not refused (denies)|public.leaf_parts: trigger _londiste_l is missing: changes made here are not refused (denies)');
select pg_temp.eq(pg_temp.restored('parts', '{}', 'b') || pg_temp.restored('leaf', '{}', 'l') || pg_temp.restored('leaf_parts', '{}', 'l'), '200 OK200 OK200 OK');
select pg_temp.eq(pg_temp.lost('b') || pg_temp.lost('l'), '--');
select pg_temp.eq(pg_temp.triggers('leaf'), '_londiste_l 29 logutriga l deny |_londiste_l_truncate 32 sqltriga l deny ');
-- with the list of a node it is forgotten, at once
begin;
delete from londiste.table_info where queue_name = 'l';
select pg_temp.rows('select queue_name, table_name from londiste.table_capture', '(b,public.parts)');
rollback;
