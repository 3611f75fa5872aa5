-- A trigger uses a key again whose delete is not logged yet: the insert's event comes after it.
select pgq.create_queue('q');
\ir captured.psql
create table t (id int primary key, v text); select pgq.capture_table('q', 't') = 'row' as ok \gset
create function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then insert into t select i, 'back ' || old.v from unnest(tg_argv::int[]) i; end if; return null;
end $$;
insert into t values (1, 'a'), (2, 'b'), (3, 'c'); select events() is null as x \gset
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function mark(1);
delete from t where id = 1;
do $$ declare _e text[] := events(); begin assert _e = array['D:id id=1&v=a', 'I:id id=1&v=back+a'], _e::text; end $$;
-- that of another row, and once more in the same transaction, in which its own row was written
drop trigger "Audit" on t; truncate t; insert into t values (1, 'a'), (2, 'b'), (3, 'c'); select events() is null as x \gset
create trigger zaudit after delete on t for each row when (old.id = 1) execute function mark(2);
begin; delete from t where id in (1, 2); update t set id = 1, v = 'new' where id = 3; delete from t where id in (1, 2); commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&v=a', 'D:id id=2&v=b', 'I:id id=2&v=back+a', 'D:id id=3&v=c', 'I:id id=1&v=new',
                      'D:id id=2&v=back+a', 'D:id id=1&v=new', 'I:id id=2&v=back+new'], _e::text;
end $$;
-- the row is changed before the delete is logged
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then insert into t values (3, 'x'); update t set v = 'y' where id = 3; end if; return null;
end $$;
create or replace trigger zaudit after delete on t for each row when (old.id = 2) execute function mark(); insert into t values (3, 'c');
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=3&v=c', 'D:id id=2&v=back+new', 'D:id id=3&v=c', 'I:id id=3&v=x', 'U:id id=3&v=y'], _e::text;
end $$;
-- the key was left by an update, or is taken by one; the same key by another text
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() > 1 then null; elsif tg_op = 'UPDATE' then insert into t values (old.id, 'stays'); else update t set id = old.id where id = 9; end if; return null;
end $$;
drop trigger zaudit on t; create trigger "Audit" after update or delete on t for each row execute function mark();
update t set id = 4 where id = 3; insert into t values (9, 'nine'); delete from t where id = 4;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=3&v=y', 'I:id id=4&v=y', 'I:id id=3&v=stays', 'I:id id=9&v=nine', 'D:id id=4&v=y', 'D:id id=9&v=nine', 'I:id id=4&v=nine'], _e::text;
end $$;
-- nobody uses it again: rows that are still to be logged themselves, in a transaction in which a trigger has inserted
begin; delete from t where id = 4; insert into t values (9, 'nine'); delete from t where id = 3;
select events() is not null as x \gset
with d as (delete from t returning *) insert into t select id, 'moved' from d where false; update t set id = id + 1; commit;
create table n (k numeric primary key, v date); select pgq.capture_table('q', 'n') = 'row' as ok \gset
create function anew() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then insert into n values (1.00, '2024-02-01'); end if; return null; end $$;
create trigger "Audit" after delete on n for each row execute function anew();
set datestyle = 'SQL, DMY'; insert into n values (1.0, '01/03/2024'); select events() is not null as x \gset
delete from n;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:k k=1.0&v=2024-03-01 public.n', 'I:k k=1.00&v=2024-02-01 public.n'], _e::text;
end $$;
-- where the table was altered meanwhile
alter table n add w int; delete from n;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:k k=1.00&v=2024-02-01&w public.n', 'I:k k=1.00&v=2024-02-01&w public.n'], _e::text;
end $$;
reset datestyle;
-- more of a key: several columns, values that are encoded, a domain
create type mood as enum ('so so', 'fine'); create domain word as text;
create table m (a text, b mood, c word, note text, primary key (c, a)); select pgq.capture_table('q', 'm') = 'row' as ok \gset
create function back() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then insert into m values (old.a, old.b, old.c, 'anew'); end if; return null; end $$;
create trigger "Audit" after delete on m for each row execute function back();
insert into m values ('a&b', 'so so', 'é', 'x'), ('a', 'so so', 'é', 'y'); delete from m;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:c,a a=a%26b&b=so+so&c=%c3%a9&note=x public.m', 'I:c,a a=a&b=so+so&c=%c3%a9&note=y public.m', 'D:c,a a=a%26b&b=so+so&c=%c3%a9&note=x public.m',
                      'D:c,a a=a&b=so+so&c=%c3%a9&note=y public.m', 'I:c,a a=a%26b&b=so+so&c=%c3%a9&note=anew public.m', 'I:c,a a=a&b=so+so&c=%c3%a9&note=anew public.m'], _e::text;
end $$;
-- what a trigger inserted in a savepoint that is gone leaves nothing
begin; savepoint s; delete from m; rollback to s; drop trigger "Audit" on m; delete from m; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:c,a a=a%26b&b=so+so&c=%c3%a9&note=anew public.m', 'D:c,a a=a&b=so+so&c=%c3%a9&note=anew public.m'], _e::text;
end $$;
-- a function of the statement's own inserts the key
create table f (id int primary key, v text); select pgq.capture_table('q', 'f') = 'row' as ok \gset
create function put_back(int) returns int language plpgsql as $$ begin insert into f values ($1, 'back'); return $1; end $$;
insert into f values (1, 'a'), (2, 'b'); delete from f returning put_back(id);
update f set id = id + 10 where id = 2 returning put_back(id - 10);
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&v=a public.f', 'I:id id=2&v=b public.f', 'D:id id=1&v=a public.f', 'I:id id=1&v=back public.f', 'D:id id=2&v=b public.f', 'I:id id=2&v=back public.f',
                      'D:id id=2&v=back public.f', 'I:id id=12&v=back public.f', 'I:id id=2&v=back public.f'], _e::text;
end $$;
-- the order of what is inserted first and deleted then stays, in one statement too
begin; insert into f values (3, 'new'); delete from f where id = 3; with d as (delete from f where id < 3 returning *) insert into f select id, 'moved' from d; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=3&v=new public.f', 'D:id id=3&v=new public.f', 'D:id id=1&v=back public.f', 'D:id id=2&v=back public.f', 'I:id id=1&v=moved public.f',
                      'I:id id=2&v=moved public.f'], _e::text;
end $$;
-- the same row again, as it was
begin; insert into f values (4, 'same'); with d as (delete from f where id = 4 returning *) insert into f select * from d; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=4&v=same public.f', 'D:id id=4&v=same public.f', 'I:id id=4&v=same public.f'], _e::text;
end $$;
