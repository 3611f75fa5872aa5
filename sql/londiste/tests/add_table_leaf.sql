-- Tables of a leaf: global list, states, attributes, deny, removal with DDL to put back.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table t1 (id serial primary key, v text);
create table t2 (id serial primary key, v text);
select pg_temp.eq(f::text, '(404,"Table not available on queue: public.t1")') from londiste.local_add_table('l', 't1') f;
select pg_temp.eq(f::text, '(200,"Table added: public.t1")') from londiste.global_add_table('l', 'public.t1') f;
select pg_temp.eq(f::text, '(200,"Table already added: t1")') from londiste.global_add_table('l', 't1') f;
select pg_temp.eq(f::text, '(400,"No such queue: zz")') from londiste.global_add_table('zz', 't1') f;
select pg_temp.eq(f.ret_code::text, '400') from londiste.global_add_table('l', '') f;
select londiste.global_add_table('l', 't2'), londiste.global_add_table('l', 't3');
select pg_temp.rows('select * from londiste.local_show_missing(''l'')', '(r,public.t1)|(r,public.t2)|(r,public.t3)');

select pg_temp.eq(f::text, '(200,"Table added: public.t1")') from londiste.local_add_table('l', 't1', array['skip_truncate', 'ignore=v'], 'h=1') f;
select pg_temp.eq(f::text, '(200,"Table already added: public.t1")') from londiste.local_add_table('l', 't1', array['skip_truncate'], 'h=1') f;
select pg_temp.eq(f::text, '(410,"Table public.t1 already added, but with different args: h=1&skip_truncate=1")') from londiste.local_add_table('l', 't1', null, 'h=1') f;
select pg_temp.eq(f::text, '(200,"Table added: public.t2")') from londiste.local_add_table('l', 't2', array['expect_sync', 'tgflags=B']) f;
select pg_temp.rows('select * from londiste.get_table_list(''l'')', '(public.t1,t,,,h=1&skip_truncate=1,,,0,)|(public.t2,t,ok,,,,,0,)|(public.t3,f,,,,,,0,)');
select pg_temp.eq(pg_temp.triggers('t1'), '_londiste_l 29 logutriga l ignore=v deny |_londiste_l_truncate 32 sqltriga l deny ');
select pg_temp.eq(pg_temp.triggers('t2'), '_londiste_l 31 logutriga l deny |_londiste_l_truncate 32 sqltriga l deny ');
select pg_temp.fails('insert into t1 (v) values (1)', null, '%change not allowed%');
select pg_temp.fails('truncate t1', null, '%change not allowed%');
set session_replication_role = replica;
insert into t1 (v) values (1);
reset session_replication_role;

-- state, attributes, structure
select pg_temp.eq(f::text, '(200,"Table public.t1 state set to ''in-copy''")') from londiste.local_set_table_state('l', 't1', null, 'in-copy') f;
select pg_temp.eq(f::text, '(404,"No such table: public.t3")') from londiste.local_set_table_state('l', 't3', null, 'in-copy') f;
select pg_temp.eq(f::text, '(404,"No such table: NULL")') from londiste.local_set_table_state('l', null, null, 'in-copy') f;
select pg_temp.eq(f::text, '(200,"public.t1: Table attributes stored")') from londiste.local_set_table_attrs('l', 'public.t1', 'x=2') f;
select pg_temp.eq(f::text, '(404,"no such local table: public.t3")') from londiste.local_set_table_attrs('l', 'public.t3', 'x=2') f;
select pg_temp.eq(f::text, '(200,"Table struct stored")') from londiste.local_set_table_struct('l', 'public.t1', 'alter table public.t1 add constraint back check (id > 0)') f;
select pg_temp.eq(f::text, '(404,"no such local table: public.t3")') from londiste.local_set_table_struct('l', 'public.t3', 'x') f;
select pg_temp.eq(f.ret_code::text, '405') from londiste.local_set_table_state('l', 't1', null, null) f;
select pg_temp.eq(f::text, '(200,"Table public.t1 state set to ''catching-up''")') from londiste.local_set_table_state('l', 't1', '1:2:', 'catching-up') f;
select pg_temp.rows('select * from londiste.get_table_list(''l'') where table_name = ''public.t1''',
    '(public.t1,t,catching-up,1:2:,x=2,"alter table public.t1 add constraint back check (id > 0)",,0,)');

-- removal truncates half copied data and puts the DDL back
select pg_temp.eq(f::text, '(200,"Table removed: public.t1")') from londiste.local_remove_table('l', 't1') f;
select pg_temp.eq(f::text, '(400,"Table not registered locally: public.t1")') from londiste.local_remove_table('l', 't1') f;
select pg_temp.rows('select count(*) from t1', '(0)');
select pg_temp.rows('select conname from pg_constraint where conrelid = ''t1''::regclass and contype = ''c''', '(back)');
select pg_temp.eq(pg_temp.triggers('t1'), '-');
select pg_temp.rows('select * from londiste.get_table_list(''l'') where table_name = ''public.t1''', '(public.t1,f,,,,,,0,)');

-- DDL of a renamed table is about the local one
create table dest (id int primary key);
create table public.t3 (id int primary key);
insert into t3 values (1);
insert into dest values (1);
select londiste.local_add_table('l', 't3', null, null, 'dest');
select pg_temp.eq(pg_temp.triggers('dest'), '_londiste_l 29 logutriga l ev_extra1=''public.t3'' deny |_londiste_l_truncate 32 sqltriga l '
    || case when split_part(pgq.version(), '.', 1) >= '4' then 'ev_extra1=''public.t3'' ' else '' end || 'deny ');
select londiste.local_set_table_state('l', 't3', null, 'in-copy');
select londiste.local_set_table_struct('l', 't3', 'create index back_idx on public.dest (id)');
select pg_temp.eq(f.ret_code::text, '200') from londiste.global_remove_table('l', 't3') f;
select pg_temp.rows('select (select count(*) from dest), (select count(*) from t3), to_regclass(''back_idx'') is not null', '(0,1,t)');
select pg_temp.eq(pg_temp.triggers('dest'), '-');
select pg_temp.eq(f::text, '(400,"Table not found: t3")') from londiste.global_remove_table('l', 't3') f;

-- the node goes: capture goes
select pgq_node.drop_node('l', 'here');
select pg_temp.rows('select * from londiste.table_info where queue_name = ''l''', null);
select pg_temp.eq(pg_temp.triggers('t2'), '-');

-- a branch registers by global name too, does not deny, and copies
select londiste.global_add_table('b', 't2');
select pg_temp.eq(f::text, '(200,"Table added: public.t2")') from londiste.local_add_table('b', 't2') f;
select pg_temp.eq(pg_temp.triggers('t2'), '_londiste_b 25,5,27 generated b |_londiste_b_truncate 32 sqltriga b ');
select pg_temp.rows('select * from londiste.get_table_list(''b'')', '(public.t2,t,,,,,,0,)');
select pg_temp.fails('insert into t2 (v) values (1)', null, '%disallow%');
