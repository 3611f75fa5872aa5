-- cluster: own
-- Changes that triggers and functions make inside a statement: their events come first, what follows must not take them back.
select pgq.create_queue('q');
\ir captured.psql
create table t (id int primary key, v text); create table child (id int references t on update cascade);
select pgq.capture_table('q', 't') = 'row' as ok \gset

-- a trigger that comes before the capture's changes the row once more
create function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then update t set v = v || '!' where id = new.id; end if; return null;
end $$;
create trigger "Audit" after insert or update on t for each row execute function mark();
insert into t values (1, 'a'), (2, 'é'); update t set v = 'b' where id = 1;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&v=a', 'U:id id=1&v=a%21', 'I:id id=2&v=%c3%a9', 'U:id id=2&v=%c3%a9%21', 'U:id id=1&v=b', 'U:id id=1&v=b%21'], _e::text;
end $$;
-- it moves or deletes the row
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 and new.v = 'move' then update t set id = id + 10 where id = new.id;
    elsif pg_trigger_depth() = 1 and new.v = 'gone' then delete from t where id = new.id;
    elsif pg_trigger_depth() = 1 and new.v = 'again' then delete from t where id = new.id; insert into t values (new.id, 'anew'); end if; return null;
end $$;
insert into t values (3, 'move'), (4, 'gone'), (5, 'again'); update t set v = 'move' where id = 1; update t set v = 'gone' where id = 2;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=3&v=move', 'D:id id=3&v=move', 'I:id id=13&v=move', 'I:id id=4&v=gone', 'D:id id=4&v=gone', 'I:id id=5&v=again', 'D:id id=5&v=again',
                      'I:id id=5&v=anew', 'U:id id=1&v=move', 'D:id id=1&v=move', 'I:id id=11&v=move', 'U:id id=2&v=gone', 'D:id id=2&v=gone'], _e::text;
end $$;
-- a key change, whose row is changed again
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then update t set v = 'after' where id = new.id; end if; return null;
end $$;
update t set id = 6 where id = 5;
do $$ declare _e text[] := events(); begin assert _e = array['D:id id=5&v=anew', 'I:id id=6&v=anew', 'U:id id=6&v=after'], _e::text; end $$;
-- a trigger behind it, which changes rows whose events are still to come
drop trigger "Audit" on t; delete from t; select events() is null as x \gset
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then update t set v = v || '!' where id <> new.id; end if; return null;
end $$;
create trigger zaudit after insert on t for each row execute function mark();
insert into t values (1, 'a'), (2, 'b');
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&v=a', 'I:id id=2&v=b', 'U:id id=2&v=b%21', 'U:id id=1&v=a%21'], _e::text;
end $$;
drop trigger zaudit on t;
-- a function inside the statement changes a row that the statement has changed already
create function f(_id int) returns text language plpgsql as $$ begin if _id = 2 then update t set v = 'inner' where id = 1; end if; return 'outer'; end $$;
update t set v = f(id) from generate_series(1, 2) g where id = g;
do $$ declare _e text[] := events(); begin
    assert (select v from t where id = 1) = 'inner';
    assert _e = array['U:id id=1&v=outer', 'U:id id=1&v=inner', 'U:id id=2&v=outer'], _e::text;
end $$;
-- a foreign key's lock is no change, a cascade goes its way
create or replace function mark() returns trigger language plpgsql as $$ begin insert into child values (new.id); return null; end $$;
create trigger "Audit" after insert on t for each row execute function mark();
insert into t values (7, 'locked'); update t set id = 8 where id = 7;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=7&v=locked', 'D:id id=7&v=locked', 'I:id id=8&v=locked'], _e::text;
end $$;

-- a table with row-level security is captured as any other: nobody looks at it
create or replace function mark() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then update t set v = v || '!' where id = new.id; end if; return null;
end $$;
create role owner_; grant all on schema public to owner_; alter table t owner to owner_; alter table t enable row level security; alter table t force row level security;
create policy mine on t using (v !~ 'secret') with check (true);
begin; set local role owner_; insert into t values (9, 'new'), (10, 'secret'); delete from t where id = 9; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=9&v=new', 'U:id id=9&v=new%21', 'I:id id=10&v=secret', 'D:id id=9&v=new%21'], _e::text;
end $$;
