-- Foreign keys: found, dropped, put back in both modes, elected, independent of search_path, partitioned.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create schema "S 1";
create table "S 1"."P t" (id int primary key);
create table ch (id int primary key, p int references "S 1"."P t", self int references ch,
    constraint "Odd ""key" foreign key (p) references "S 1"."P t" on delete cascade deferrable initially deferred);
create table lonely (id int primary key);
set search_path = "S 1", public;
select pg_temp.rows('select * from londiste.find_table_fkeys(''ch'')',
    '(public.ch,"S 1.P t","Odd ""key","alter table only public.ch add constraint ""Odd """"key"" FOREIGN KEY (p) REFERENCES ""S 1"".""P t""(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED")'
    '|(public.ch,"S 1.P t",ch_p_fkey,"alter table only public.ch add constraint ch_p_fkey FOREIGN KEY (p) REFERENCES ""S 1"".""P t""(id)")'
    '|(public.ch,public.ch,ch_self_fkey,"alter table only public.ch add constraint ch_self_fkey FOREIGN KEY (self) REFERENCES public.ch(id)")');
reset search_path;
select pg_temp.rows('select fkey_name from londiste.find_table_fkeys(''S 1.P t'')', '("Odd ""key")|(ch_p_fkey)');
select pg_temp.rows('select * from londiste.find_table_fkeys(''lonely'')', null);
select pg_temp.rows('select * from londiste.find_table_fkeys(''nope'')', null);

select pg_temp.rows($$ select londiste.drop_table_fkey('public.ch', 'Odd "key'), londiste.drop_table_fkey('ch', 'ch_p_fkey'), londiste.drop_table_fkey('public.ch', 'ch_p_fkey'), londiste.drop_table_fkey('nope', 'x') $$, '(1,1,0,0)');
select pg_temp.rows('select conname from pg_constraint where contype = ''f'' and conrelid = ''ch''::regclass', '(ch_self_fkey)');
select pg_temp.rows('select fkey_name from londiste.get_table_pending_fkeys(''public.ch'')', '("Odd ""key")|(ch_p_fkey)');
select pg_temp.rows('select fkey_name from londiste.get_table_pending_fkeys(''S 1.P t'')', '("Odd ""key")|(ch_p_fkey)');

-- at once
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'Odd "key'), '');
select pg_temp.rows($$ select condeferrable, condeferred, convalidated, confdeltype from pg_constraint where conname = 'Odd "key' $$, '(t,t,t,c)');
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'Odd "key'), '');
-- step by step
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'ch_p_fkey', true), 'alter table only public.ch add constraint ch_p_fkey FOREIGN KEY (p) REFERENCES "S 1"."P t"(id) not valid');
do $$ begin execute londiste.restore_table_fkey('public.ch', 'ch_p_fkey', true); end $$;
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'ch_p_fkey', true), 'alter table only public.ch validate constraint ch_p_fkey');
do $$ begin execute londiste.restore_table_fkey('public.ch', 'ch_p_fkey', true); end $$;
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'ch_p_fkey', true), '');
select pg_temp.rows('select * from londiste.pending_fkeys', null);
-- one that was not valid before stays so
alter table ch drop constraint ch_p_fkey;
alter table ch drop constraint "Odd ""key";
insert into ch (id, p) values (1, 404);
alter table ch add constraint unchecked foreign key (p) references "S 1"."P t" not valid;
select londiste.drop_table_fkey('public.ch', 'unchecked');
do $$ begin execute londiste.restore_table_fkey('public.ch', 'unchecked', true); end $$;
select pg_temp.eq(londiste.restore_table_fkey('public.ch', 'unchecked', true), '');
select pg_temp.rows('select convalidated from pg_constraint where conname = ''unchecked''', '(f)');
alter table ch drop constraint unchecked;
delete from ch;
-- the table is gone: so is its key
create table gone (id int primary key references lonely);
select londiste.drop_table_fkey('gone', 'gone_id_fkey');
drop table gone;
select pg_temp.eq(londiste.restore_table_fkey('public.gone', 'gone_id_fkey', true), '');
select pg_temp.rows('select * from londiste.pending_fkeys', null);

-- partitioned tables on both ends
create table pref (id int primary key) partition by range (id);
create table pref_1 partition of pref for values from (0) to (10);
create table pchild (id int, r int references pref, primary key (id)) partition by range (id);
create table pchild_1 partition of pchild for values from (0) to (10);
select pg_temp.rows('select fkey_name, fkey_def from londiste.find_table_fkeys(''pchild'')', '(pchild_r_fkey,"alter table public.pchild add constraint pchild_r_fkey FOREIGN KEY (r) REFERENCES public.pref(id)")');
select pg_temp.rows('select fkey_name from londiste.find_table_fkeys(''pref'')', '(pchild_r_fkey)');
select pg_temp.rows('select fkey_name from londiste.find_table_fkeys(''pchild_1'') union all select fkey_name from londiste.find_table_fkeys(''pref_1'')', null);
select pg_temp.eq(londiste.drop_table_fkey('pchild', 'pchild_r_fkey')::text, '1');
select pg_temp.rows('select 1 from pg_constraint where contype = ''f'' and conrelid in (''pchild''::regclass, ''pchild_1''::regclass)', null);
do $$ begin execute londiste.restore_table_fkey('pchild', 'pchild_r_fkey', true); end $$;
select pg_temp.eq(londiste.restore_table_fkey('pchild', 'pchild_r_fkey', true), '');
select pg_temp.rows('select count(*) from pg_constraint where contype = ''f'' and conrelid in (''pchild''::regclass, ''pchild_1''::regclass) and convalidated and confrelid = ''pref''::regclass', '(2)');

-- who puts it back
create table a (id int primary key);
create table bb (id int primary key references a);
create table dest_a (id int primary key);
select londiste.drop_table_fkey('bb', 'bb_id_fkey');
create function pg_temp.elected() returns text as $$
    select string_agg(n.queue_name, ',' order by 1) from pgq_node.node_info n
     where exists (select 1 from londiste.get_valid_pending_fkeys(n.queue_name) k where k.fkey_name = 'bb_id_fkey');
$$ language sql;
select pg_temp.eq(pg_temp.elected(), null);
select londiste.global_add_table('l', x), londiste.local_add_table('l', x, array['no_triggers']) from unnest('{a,bb}'::text[]) x;
select pg_temp.eq(pg_temp.elected(), null);
select londiste.local_set_table_state('l', x, null, 'ok') from unnest('{a,bb}'::text[]) x;
select pg_temp.eq(pg_temp.elected(), 'l');
select londiste.local_set_table_state('l', 'a', '1:2:', 'ok');
select pg_temp.eq(pg_temp.elected(), null);
select londiste.local_set_table_state('l', 'a', null, 'ok');
-- a root that has both tables too applies nothing
select londiste.local_add_table('full', x, array['no_triggers']) from unnest('{a,bb}'::text[]) x;
select pg_temp.eq(pg_temp.elected(), 'l');
-- one end through another queue
update londiste.table_info set local = false where queue_name in ('l', 'full') and table_name = 'public.bb';
select pg_temp.eq(pg_temp.elected(), null);
select londiste.global_add_table('b', 'bb'), londiste.local_add_table('b', 'bb', array['no_triggers', 'expect_sync']);
select pg_temp.eq(pg_temp.elected(), 'b');
-- leafs into a root: the lowest leaf, when all are in sync
delete from londiste.table_info;
select londiste.global_add_table(q, x) from unnest('{p1,p2}'::text[]) q, unnest('{a,bb}'::text[]) x;
select londiste.local_add_table('p1', x, array['merge_all', 'no_triggers']) from unnest('{a,bb}'::text[]) x;
update londiste.table_info set merge_state = 'ok' where queue_name = 'p1';
select pg_temp.eq(pg_temp.elected(), null);
update londiste.table_info set merge_state = 'ok';
select pg_temp.eq(pg_temp.elected(), 'p1');
-- into a branch: that branch
update pgq_node.node_info set node_type = 'branch' where queue_name = 'full';
select pg_temp.eq(pg_temp.elected(), 'full');
