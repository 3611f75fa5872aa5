-- modules: pgq pgq_node londiste
-- Foreign keys, partitions, copy roles.
\set VERBOSITY terse
set client_min_messages = warning;
select pgq_node.register_location(q,n,'dbname='||n,false) from unnest('{l1,l2,l3,c,r}'::text[]) q, unnest('{n1,n2}'::text[]) n;
select pgq_node.create_node('c','root','n2','cw',null,null,null);
select pgq_node.create_node('l1','leaf','n2','w1','n1',3,'c');
select pgq_node.create_node('l2','leaf','n2','w2','n1',3,'c');
create schema "S 1";
create table "S 1"."P t"(id int primary key);
create table ch(id int primary key, p int references "S 1"."P t");
select * from londiste.find_table_fkeys('public.ch');
select * from londiste.find_table_fkeys('ch');
select * from londiste.find_table_fkeys('S 1.P t');
select londiste.drop_table_fkey('public.ch','ch_p_fkey');
select londiste.drop_table_fkey('public.ch','ch_p_fkey');
select * from londiste.get_table_pending_fkeys('public.ch');
select * from londiste.get_table_pending_fkeys('S 1.P t');

select * from londiste.get_valid_pending_fkeys('l1');
select londiste.restore_table_fkey('public.ch','ch_p_fkey',true);
select londiste.restore_table_fkey('public.ch','nope',true);
alter table only public.ch add constraint ch_p_fkey FOREIGN KEY (p) REFERENCES "S 1"."P t"(id) not valid;
select londiste.restore_table_fkey('public.ch','ch_p_fkey',true);
alter table only public.ch validate constraint ch_p_fkey;
select londiste.restore_table_fkey('public.ch','ch_p_fkey',true);
select * from londiste.pending_fkeys;
select londiste.drop_table_fkey('public.ch','ch_p_fkey');
select londiste.restore_table_fkey('public.ch','ch_p_fkey');
select londiste.restore_table_fkey('public.ch','ch_p_fkey');
select * from londiste.pending_fkeys;

select londiste.drop_table_fkey('public.nope','ch_p_fkey');
select * from londiste.pending_fkeys;
create table ev(id int primary key, tm timestamptz);
create rule r1 as on update to ev do also nothing;
select londiste.create_partition('ev','ev_2020_01_02','id','tm','2020-01-02 03:04:05+00','day');
select londiste.create_partition('ev','ev_2020_01_02','id','tm','2020-01-02 03:04:05+00','day');
select londiste.create_partition('ev','ev_2020','id',null,'2020-01-02 03:04:05+00','year');
select londiste.create_partition('ev','ev_2021','id','','2020-01-02 03:04:05+00','year');
select londiste.create_partition('ev','ev_2022','id','tm','2020-01-02 03:04:05+00','bad');
select londiste.create_partition('nope','ev_2022','id','tm','2020-01-02 03:04:05+00','day');
select londiste.create_partition(null,'ev_2022','id','tm','2020-01-02 03:04:05+00','day');
select londiste.create_partition('ev','S 1.Ev_2023_05','id','tm','2020-01-02 03:04:05+00','month');
select londiste.is_obsolete_partition('public.ev_2020_01_02','1 day','day');
select londiste.is_obsolete_partition('public.ev_2020_01_02','100 years','daily');
select londiste.is_obsolete_partition('public.ev_2020_01_02','1 day','month');
select londiste.is_obsolete_partition('public.ev_2020_01_02','1 day','bad');
select londiste.is_obsolete_partition('ev','1 day','day');
select londiste.is_obsolete_partition(null,'1 day','day');
select londiste.is_obsolete_partition('public.ev_2020_01_02',null,'day');
select londiste.is_obsolete_partition('public.nopenope_2020_01_02','1 day','day');
select londiste.list_obsolete_partitions('ev','1 day','day');
select londiste.list_obsolete_partitions('public.ev','1 day','month');
select londiste.list_obsolete_partitions('public.ev','1 day','yearly');
select londiste.list_obsolete_partitions('public.nope','1 day','yearly');
select londiste.drop_obsolete_partitions('public.ev','1 day','monthly');
select londiste.drop_obsolete_partitions('public.ev','1 day','day');
select relname, pg_get_constraintdef(k.oid) from pg_constraint k join pg_class c on c.oid = conrelid where relname ~* '^ev_' order by 1, 2;
select rulename, ev_class::regclass from pg_rewrite where ev_class::regclass::text ~* 'ev_' order by 2;
create table base (id int); create table base_1997 () inherits (base); create table base_1996_01_02_03 () inherits (base);
select londiste.list_obsolete_partitions('base', '1 day', 'year');
select londiste.list_obsolete_partitions('base', '1 day', 'hourly');
select londiste.list_obsolete_partitions('base', '1 day', 'YEAR');
select londiste.drop_obsolete_partitions('base', '1 day', 'yearly');
-- copy roles
select pgq_node.register_location(q, n, 'dbname=' || n, false) from unnest('{p1,p2,p3,cc}'::text[]) q, unnest('{n1,n2}'::text[]) n;
select pgq_node.create_node('cc', 'root', 'n2', 'ccw', null, null, null);
select pgq_node.create_node(q, 'leaf', 'n2', q || 'w', 'n1', 1, 'cc') from unnest('{p1,p2,p3}'::text[]) q;
create table t (id int primary key);
select londiste.global_add_table(q, 't') from unnest('{p1,p2,p3}'::text[]) q;
select londiste.local_add_table('p1', 't', array['merge_all', 'no_triggers']);
create function roles(states text) returns text as $$
declare
    got text = '';
    r record;
begin
    update londiste.table_info set dropped_ddl = null, merge_state = null where table_name = 'public.t' and queue_name <> 'cc';
    for i in 1..3 loop
        update londiste.table_info
           set merge_state = case upper(substr(states, i, 1)) when 'C' then 'in-copy' when 'U' then 'catching-up' when 'K' then 'ok' when 'W' then 'wanna-sync:5' when 'D' then 'do-sync:6' end,
               dropped_ddl = case when substr(states, i, 1) in ('C', 'U') then 'ddl' end
         where queue_name = 'p' || i and table_name = 'public.t';
    end loop;
    for i in 1..3 loop
        select * into r from londiste.get_table_list('p' || i) where table_name = 'public.t';
        got := concat_ws(' ', nullif(got, ''), coalesce(r.copy_role, '-') || ':' || r.copy_pos);
    end loop;
    return got;
end;
$$ language plpgsql;
-- every combination, the original and ours must agree on all
select a || b || c as states, roles(a || b || c)
  from unnest('{c,C,u,U,w,d,k,n}'::text[]) a, unnest('{c,C,u,U,w,d,k,n}'::text[]) b, unnest('{c,C,u,U,w,d,k,n}'::text[]) c
 order by (a || b || c) collate "C";
