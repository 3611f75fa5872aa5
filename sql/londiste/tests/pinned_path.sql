-- No function of these modules looks names up by its caller's search_path, but those that run what may need it. search_path.sql calls them where every
-- operator is another.
\ir ../../pgq_node/tests/expect.psql
create temp table exceptions (function regprocedure primary key, reason text);
insert into exceptions values
    ('londiste.local_remove_table(text, text)', 'puts back what a copy has dropped: truncate triggers, expressions of indexes and constraints are the user''s'),
    ('londiste.global_remove_table(text, text)', 'the same'),
    ('londiste.restore_table_fkey(text, text, boolean)', 'a key that the original has dropped is written as the search_path of then allowed');
select pg_temp.rows($$ select p.oid::regprocedure, p.proconfig from pg_proc p
    where p.pronamespace in ('londiste'::regnamespace, 'pgq_node'::regnamespace, 'pgq_coop'::regnamespace, 'pgq_ext'::regnamespace)
      and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
      and p.oid not in (select e.function from exceptions e) $$, null);
-- nor is a reason kept for what is pinned, or given to what runs with its owner's rights
select pg_temp.rows($$ select e.function from exceptions e join pg_proc p on p.oid = e.function where p.prosecdef or p.proconfig::text like '%search_path%' $$, null);

-- the exceptions do leave it
\ir nodes.psql
create schema mine;
create table mine.log (what text);
create table mine.parent (id int primary key);
create function public.positive(i int) returns boolean language plpgsql as $$ begin insert into log values ('check'); return i > 0; end $$;
create function public.logged() returns trigger language plpgsql as $$ begin insert into log values (tg_op); return null; end $$;
create table t (id int primary key, constraint pos check (positive(id)));
create trigger on_truncate after truncate on t for each statement execute function public.logged();
set search_path = mine, public;
insert into t values (1);
select londiste.global_add_table('l', 't'), londiste.local_add_table('l', 't', '{no_triggers}');
create function pg_temp.copying() returns void language sql as $$
    select londiste.local_set_table_state('l', 't', null, 'in-copy');
    alter table public.t drop constraint pos;
    select londiste.local_set_table_struct('l', 't', 'alter table public.t add constraint pos check (positive(id)); insert into public.t values (2)');
$$;
select pg_temp.copying();
delete from log;
select pg_temp.eq(f::text, '(200,"Table removed: public.t")') from londiste.local_remove_table('l', 't') f;
select pg_temp.rows('select * from log', '(TRUNCATE)|(check)');
select pg_temp.rows('select * from t', '(2)');
select pg_temp.rows($$ select local, merge_state, dropped_ddl from londiste.table_info where table_name = 'public.t' $$, '(f,,)');
select londiste.local_add_table('l', 't', '{no_triggers}'), pg_temp.copying();
delete from log;
select pg_temp.eq(f::text, '(200,"Table removed: t")') from londiste.global_remove_table('l', 't') f;
select pg_temp.rows('select * from log', '(TRUNCATE)|(check)');
select pg_temp.rows('select table_name from londiste.table_info', null);

insert into londiste.pending_fkeys values ('public.t', 'mine.parent', 'old', 'alter table only public.t add constraint old foreign key (id) references parent not valid');
select pg_temp.eq(londiste.restore_table_fkey('t', 'old'), '');
select pg_temp.rows($$ select conname, confrelid::regclass from pg_constraint where contype = 'f' and conrelid = 't'::regclass $$, '(old,parent)');
