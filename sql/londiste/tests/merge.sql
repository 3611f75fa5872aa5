-- Several queues into one table: what local_add_table refuses, marks, captures and hands to the combined queue.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table t1 (id serial primary key, v text);
select londiste.global_add_table('p1', 't1');
-- the combined queue has heard of it
select pg_temp.rows('select * from londiste.get_table_list(''full'')', '(public.t1,f,,,,,,0,)');
select londiste.global_add_table('p2', 't1');
select pg_temp.eq(f::text, '(405,"Found multiple sources for table public.t1, use merge-all or no-merge to continue")') from londiste.local_add_table('p1', 't1') f;
-- refused means untouched
select pg_temp.rows('select queue_name, local from londiste.table_info order by 1', '(full,f)|(p1,f)|(p2,f)');
select pg_temp.eq(pg_temp.triggers('t1'), '-');

select pg_temp.eq(f::text, '(200,"Table added: public.t1")') from londiste.local_add_table('p1', 't1', array['merge_all'], 'a=1') f;
select pg_temp.rows('select queue_name, local, merge_state, table_attrs from londiste.table_info order by 1', '(full,t,ok,a=1)|(p1,t,,a=1)|(p2,t,,a=1)');
select pg_temp.eq(pg_temp.triggers('t1'), '_londiste_full 25,5,27 generated full |_londiste_full_truncate 32 sqltriga full '
    '|_londiste_p1 29 logutriga p1 deny |_londiste_p1_truncate 32 sqltriga p1 deny '
    '|_londiste_p2 29 logutriga p2 deny |_londiste_p2_truncate 32 sqltriga p2 deny ');
select pg_temp.eq(pg_temp.events('full'), 'londiste.add-table public.t1');

-- removed on one, it can come back only after the others
select londiste.local_remove_table('p1', 't1');
select pg_temp.eq(f::text, '(405,"Found local table public.t1 in queue p2, use remove-table first to remove all previous table subscriptions")')
  from londiste.local_add_table('p1', 't1', array['merge_all']) f;
select pg_temp.eq(f::text, '(200,"Table added: public.t1")') from londiste.local_add_table('p1', 't1', array['expect_sync']) f;

-- what a sibling has copied survives the removal of the part that holds the DDL
insert into londiste.applied_execute values ('q', 'x', now(), 'x', null);
update londiste.table_info set merge_state = 'catching-up' where queue_name = 'p2';
update londiste.table_info set merge_state = 'in-copy', dropped_ddl = 'create index t1_v on public.t1 (v)' where queue_name = 'p1';
set session_replication_role = replica;
insert into t1 (v) values ('from p2');
reset session_replication_role;
select londiste.local_remove_table('p1', 't1');
select pg_temp.rows('select count(*), to_regclass(''t1_v'') is not null from t1', '(1,t)');

-- keyless while a sibling's copy has taken the key
create table t2 (id int, v text);
select londiste.global_add_table('p1', 't2'), londiste.global_add_table('p2', 't2');
select pg_temp.eq(f::text, '(400,"Primary key missing on table: public.t2")') from londiste.local_add_table('p1', 't2', array['no_merge']) f;
update londiste.table_info set local = true, merge_state = 'in-copy', dropped_ddl = 'x' where queue_name = 'p2' and table_name = 'public.t2';
select pg_temp.eq(f::text, '(200,"Table added: public.t2")') from londiste.local_add_table('p1', 't2', array['no_merge']) f;

-- a name taken by an AFTER trigger's enemy: a sibling's refusal undoes everything
create table t3 (id int primary key);
create trigger skipper before insert on t3 for each row execute function pgq.logutriga('other', 'SKIP');
select londiste.global_add_table('p1', 't3'), londiste.global_add_table('p2', 't3');
select pg_temp.eq(f.ret_code::text, '403') from londiste.local_add_table('p1', 't3', array['merge_all']) f;
select pg_temp.rows('select distinct local from londiste.table_info where table_name = ''public.t3''', '(f)');
select pg_temp.eq(pg_temp.triggers('t3'), 'skipper 7 logutriga other SKIP ');
