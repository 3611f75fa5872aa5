-- Inheritance partitions: made like the parent, listed and dropped by age.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
set timezone = 'UTC';
create table ev (id int primary key, tm timestamptz, constraint pos check (id > 0));
create index ev_tm on ev (tm);
create role part_test_owner;
create role part_test_reader;
alter table ev owner to part_test_owner;
grant select on ev to part_test_reader with grant option;
grant insert on ev to public;
create function pg_temp.noop() returns trigger as $$ begin return new; end; $$ language plpgsql;
create trigger "A trg" before update of id on ev for each row when (new.id > 1) execute function pg_temp.noop();
create trigger off_trg after insert on ev for each row execute function pg_temp.noop();
alter table ev disable trigger off_trg;
create rule r1 as on update to ev where new.id = 5 do also nothing;
create rule r2 as on delete to ev do also nothing;
alter table ev enable always rule r2;
select pg_temp.rows($$ select londiste.create_partition('ev', 'ev_2020_01_02', 'id', 'tm', '2020-01-02 03:04:05+00', 'day'),
    londiste.create_partition('ev', 'ev_2020_01_02', 'id', 'tm', '2020-01-02 03:04:05+00', 'day') $$, '(1,0)');
select pg_temp.rows($$ select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'ev_2020_01_02'::regclass and contype = 'c' order by conname collate "C" desc $$,
    '("CHECK ((id > 0))")|("CHECK (((tm >= ''2020-01-02 00:00:00+00''::timestamp with time zone) AND (tm < ''2020-01-03 00:00:00+00''::timestamp with time zone)))")');
select pg_temp.rows($$ select c.relowner::regrole, a.grantee::regrole::text, a.privilege_type, a.is_grantable from pg_class c, aclexplode(c.relacl) a
    where c.oid = 'ev_2020_01_02'::regclass and a.grantee <> c.relowner order by 2 $$, '(part_test_owner,-,INSERT,f)|(part_test_owner,part_test_reader,SELECT,t)');
select pg_temp.rows($$ select tgname, tgenabled, tgqual is not null, tgattr::text from pg_trigger where tgrelid = 'ev_2020_01_02'::regclass order by 1 $$, '("A trg",O,t,1)|(off_trg,D,f,"")');
select pg_temp.rows($$ select rulename, ev_enabled from pg_rewrite where ev_class = 'ev_2020_01_02'::regclass order by 1 $$, '(r1,O)|(r2,A)');
select pg_temp.rows($$ select count(*) from pg_index where indrelid = 'ev_2020_01_02'::regclass $$, '(2)');
select pg_temp.rows($$ select inhparent::regclass from pg_inherits where inhrelid = 'ev_2020_01_02'::regclass $$, '(ev)');
select londiste.create_partition('ev', 'ev_2020', 'id', null, '2020-01-02', 'year'), londiste.create_partition('ev', 'ev_2021', 'id', '', '2020-01-02', 'year');
select pg_temp.rows($$ select count(*) from pg_constraint where contype = 'c' and conrelid in ('ev_2020'::regclass, 'ev_2021'::regclass) $$, '(2)');
select pg_temp.fails($$ select londiste.create_partition('ev', 'ev_x', 'id', 'tm', now(), 'bad') $$, null, '%"bad"%');
select pg_temp.fails($$ select londiste.create_partition('ev', 'ev_x', 'id', 'tm', null, 'day') $$, null, 'need part_time%');
select pg_temp.fails($$ select londiste.create_partition('nope', 'ev_x', 'id', 'tm', now(), 'day') $$, '42P01', '%public.nope%');
select pg_temp.fails($$ select londiste.create_partition(null, 'ev_x', 'id', 'tm', now(), 'day') $$, null, 'need table and part');
select pg_temp.fails($$ select londiste.create_partition('ev', null, 'id', 'tm', now(), 'day') $$, null, 'need table and part');
select pg_temp.eq(to_regclass('ev_x')::text, null);

select pg_temp.rows($$ select londiste.is_obsolete_partition('public.ev_2020_01_02', '1 day', 'day'), londiste.is_obsolete_partition('ev_2020_01_02', '100 years', 'daily'),
    londiste.is_obsolete_partition('ev_2020_01_02', '1 day', 'month'), londiste.is_obsolete_partition('ev', '1 day', 'day'), londiste.is_obsolete_partition(null, '1 day', 'day'),
    londiste.is_obsolete_partition('ev_2020', null, 'year'), londiste.is_obsolete_partition('ev_2020_01_02_03', '1 day', 'hourly') $$, '(t,f,,,,f,t)');
select pg_temp.fails($$ select londiste.is_obsolete_partition('ev_2020', '1 day', 'week') $$, null, 'not supported i_partition_period: week');
select pg_temp.eq(londiste.is_obsolete_partition('t_' || to_char(now() - interval '1 day', 'YYYY_MM_DD'), '1 day', 'day')::text, 'false');
select pg_temp.eq(londiste.is_obsolete_partition('t_' || to_char(now() - interval '2 days', 'YYYY_MM_DD'), '1 day', 'day')::text, 'true');
create schema "S 1";
create table "S 1".ev_2019 (id int);
create table evil_2019 (id int);
create table ev_2019x (id int);
select pg_temp.rows($$ select * from londiste.list_obsolete_partitions('ev', '1 day', 'yearly') $$, '(public.ev_2020)|(public.ev_2021)');
select pg_temp.rows($$ select * from londiste.list_obsolete_partitions('S 1.ev', '1 day', 'yearly') $$, '("""S 1"".ev_2019")');
select pg_temp.rows($$ select * from londiste.list_obsolete_partitions('nope', '1 day', 'yearly') $$, null);
select pg_temp.fails($$ select londiste.list_obsolete_partitions(null, '1 day', 'yearly') $$, null, 'need parent table');
select pg_temp.rows($$ select * from londiste.drop_obsolete_partitions('ev', '1 day', 'yearly') $$, '(public.ev_2020)|(public.ev_2021)');
select pg_temp.rows($$ select inhrelid::regclass from pg_inherits where inhparent = 'ev'::regclass $$, '(ev_2020_01_02)');
drop table ev, ev_2020_01_02 cascade;
drop role part_test_owner;
drop role part_test_reader;
