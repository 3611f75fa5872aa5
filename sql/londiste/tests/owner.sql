-- cluster: own
-- An owner who is no superuser and may not create roles installs everything, twice, and is alone with it.
\set ON_ERROR_STOP on
\set QUIET on
\o /dev/null
set client_min_messages = warning;
-- a server without any of our roles
select format('alter database %I is_template false', datname) from pg_database where datistemplate and datname not like 'template_' \gexec
\c postgres
select format('drop database %I with (force)', datname) from pg_database where datname not in ('postgres', 'template0', 'template1') \gexec
select format('drop role %I', rolname) from pg_roles where rolname ~ '^(pgq|londiste)_' \gexec
create role plain_owner login;
create role stranger login;
create database owned owner plain_owner;
\c owned plain_owner
set client_min_messages = warning;
begin;
\ir ../../pgq/install.sql
\ir ../../pgq_node/install.sql
\ir ../install.sql
commit;
begin;
\ir ../../pgq/install.sql
\ir ../../pgq_node/install.sql
\ir ../install.sql
commit;
\ir ../../pgq_node/tests/expect.psql
select pg_temp.rows('select rolname from pg_roles where rolname ~ ''^(pgq|londiste)_''', null);
\ir nodes.psql
create table public.t (id serial primary key, v text);
create table public.leaf_t (id int primary key);
select pg_temp.eq(f::text, '(200,"Table added: public.t")') from londiste.local_add_table('q', 't') f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_seq('q', 't_id_seq') f;
select londiste.global_add_table('l', 'leaf_t');
select pg_temp.eq(f::text, '(200,"Table added: public.leaf_t")') from londiste.local_add_table('l', 'leaf_t') f;
insert into t (v) values ('x');
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'I:id id=1&v=x public.t');
select pg_temp.fails('insert into leaf_t values (1)', null, '%change not allowed%');
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.demote_root('q', 1, 'there') f;
select pg_temp.eq(f.ret_code::text, '200') from pgq_node.demote_root('q', 2, 'there') f;

-- the replica role is refused in words
select pg_temp.eq(londiste.can_set_replica_role()::text, 'false');
select pg_temp.fails($$ select londiste.set_session_replication_role('replica', true) $$, '42501', 'role "plain_owner", owner of %may not set session_replication_role');
-- without it a worker applies by token
select set_config('skytools.apply_token', pgq.apply_token('l'), false);
insert into leaf_t values (1);
select set_config('skytools.apply_token', '', false);
select pg_temp.fails('insert into leaf_t values (2)', null, '%change not allowed%');
select pg_temp.rows('select * from leaf_t', '(1)');

-- a stranger may look at what is public and do nothing
\c owned stranger
\ir ../../pgq_node/tests/expect.psql
select pg_temp.eq(pgq_node.version() || londiste.version() || londiste.quote_fqname('a'), '4.0.04.0.0public.a');
select pg_temp.fails(q, '42501', 'permission denied%') from unnest(array[
    'select pgq_node.get_node_info(''q'')', 'select pgq_node.drop_node(''q'', ''here'')', 'select * from pgq_node.node_location',
    'select londiste.set_session_replication_role(''replica'', true)', 'select pgq.apply_token(''l'')',
    'select londiste.local_remove_table(''q'', ''t'')', 'select londiste.local_change_handler(''q'', ''t'', null, null)',
    'select pgq.create_queue(''x'')', 'delete from londiste.table_info']) q;

-- the superuser grants the right (PostgreSQL 15)
\c owned postgres
select current_setting('server_version_num')::int >= 150000 as has_grant \gset
\if :has_grant
grant set on parameter session_replication_role to plain_owner;
\c owned plain_owner
\ir ../../pgq_node/tests/expect.psql
select pg_temp.eq(londiste.can_set_replica_role()::text, 'true');
select londiste.set_session_replication_role('replica', false);
insert into leaf_t values (3);
select pg_temp.rows('select * from leaf_t', '(1)|(3)');
\endif

-- roles made later by somebody who may: an install by the owner grants them their part, and nobody else's install would do
\c owned postgres
\ir ../../pgq_node/tests/expect.psql
\ir ../../pgq/structure/roles.sql
\ir ../structure/roles.sql
set role plain_owner;
begin;
\ir ../../pgq/install.sql
\ir ../../pgq_node/install.sql
\ir ../install.sql
commit;
reset role;
select pg_temp.rows($$ select has_function_privilege('pgq_admin', 'pgq_node.drop_node(text,text)', 'execute'), has_function_privilege('londiste_writer', 'londiste.local_remove_table(text,text)', 'execute') $$, '(t,t)');
-- others have their tables captured: the owner of PgQ needs to find their types, which whoever may lets him
create role keeper; create role tenant login; grant pgq_admin, londiste_writer to tenant;
create schema keep authorization keeper; grant usage, create on schema keep to tenant; create schema own authorization tenant;
select pgq_node.register_location('k', 'here', 'dbname=here', false), pgq_node.create_node('k', 'root', 'here', 'kw', null, null, null);
set role tenant;
create table keep.t (id int primary key, v text); create table own.t (id int primary key, v text);
select pg_temp.fails(q, '42501', 'role plain_owner, the owner of PgQ, may not use schema keep') from unnest(array[
    'select pgq.capture_table(''k'', ''keep.t'')', 'select pgq.capture_table(''k'', ''keep.t'', ''form=statement'')', 'select londiste.local_add_table(''k'', ''keep.t'')']) q;
do $$ declare _hint text; begin
    perform pgq.capture_table('k', 'keep.t');
    assert false;
exception when insufficient_privilege then
    get stacked diagnostics _hint = pg_exception_hint;
    assert _hint = 'Let the owner of the schema run: grant usage on schema keep to plain_owner', _hint;
end $$;
select pg_temp.rows('select count(*) from pg_trigger where tgrelid = ''keep.t''::regclass', '(0)');
insert into keep.t values (0);
set role keeper; grant usage on schema keep to plain_owner;
set role tenant;
select pg_temp.eq(pgq.capture_table('k', 'keep.t') || pgq.capture_table('k', 'own.t', 'form=statement'), 'rowstatement');
insert into keep.t values (1, 'x'); insert into own.t values (1, 'x');
reset role;
select pg_temp.eq((select string_agg(concat_ws(' ', ev_type, ev_data, ev_extra1), '|' order by ev_id) from pgq.event_template where ev_extra1 ~ '^(keep|own)\.'),
                  'I:id id=1&v=x keep.t|I:id id=1&v=x own.t');
set role tenant; drop schema own cascade; drop table keep.t; reset role;
-- and the owner takes it all away
\c owned plain_owner
begin;
\ir ../uninstall.sql
\ir ../../pgq_node/uninstall.sql
commit;
\ir ../../pgq_node/tests/expect.psql
select pg_temp.rows('select nspname from pg_namespace where nspname in (''londiste'', ''pgq_node'')', null);
select pg_temp.rows('select tgname from pg_trigger where not tgisinternal and tgrelid in (''t''::regclass, ''leaf_t''::regclass)', null);
