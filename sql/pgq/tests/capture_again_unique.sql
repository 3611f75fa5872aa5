-- Unique values besides the key that a trigger uses again while the change that frees them is not logged yet.
select pgq.create_queue('q');
\ir captured.psql
create table t (id int primary key, mail text unique, nr int, note text); select pgq.capture_table('q', 't') = 'row' as ok \gset
create function act() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then execute tg_argv[0]; end if; return null; end $$;
create procedure given(_rows text) language plpgsql as $$ begin
    drop trigger if exists "Audit" on t; truncate t; execute 'insert into t values ' || _rows; perform events();
end $$;
-- of a deleted row, by an insert and by an update
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'b') $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr&note', 'D:id id=2&mail=b&nr&note', 'I:id id=9&mail=b&nr&note'], _e::text;
end $$;
call given($$ (1, 'a'), (2, 'b'), (3, 'c') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ update t set nr = 7 where id = 3; update t set mail = 'b' where id = 3; update t set note = 'n' where id = 3 $$);
delete from t where id in (1, 2);
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr&note', 'D:id id=2&mail=b&nr&note', 'U:id id=3&mail=c&nr=7&note', 'U:id id=3&mail=b&nr=7&note', 'U:id id=3&mail=b&nr=7&note=n'], _e::text;
end $$;
-- of a row that is updated
call given($$ (1, 'a'), (2, 'b'), (3, 'c') $$);
create trigger "Audit" after update on t for each row when (new.id = 1) execute function act($$ insert into t values (9, 'b') $$);
update t set mail = mail || '2', note = 'x';
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail=a2&nr&note=x', 'U:id id=2&mail=b2&nr&note=x', 'U:id id=3&mail=c2&nr&note=x', 'I:id id=9&mail=b&nr&note'], _e::text;
end $$;
-- to null, and with its key
call given($$ (1, 'a'), (2, ''), (3, 'c') $$);
create trigger "Audit" after update on t for each row when (new.nr = 1) execute function act($$ insert into t values (9, ''); update t set mail = 'c' where id = 1 $$);
update t set mail = null, nr = id;
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail&nr=1&note', 'U:id id=2&mail&nr=2&note', 'U:id id=3&mail&nr=3&note', 'I:id id=9&mail=&nr&note', 'U:id id=1&mail=c&nr=1&note'], _e::text;
end $$;
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after update on t for each row when (old.id = 1) execute function act($$ insert into t values (2, 'a') $$);
update t set id = id + 10, mail = id;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr&note', 'I:id id=11&mail=1&nr&note', 'D:id id=2&mail=b&nr&note', 'I:id id=12&mail=2&nr&note', 'I:id id=2&mail=a&nr&note'], _e::text;
end $$;
-- of a row that the trigger then deletes, or changes itself
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after update on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'b'); delete from t where id = 2 $$);
update t set mail = mail || '2';
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail=a2&nr&note', 'U:id id=2&mail=b2&nr&note', 'I:id id=9&mail=b&nr&note', 'D:id id=2&mail=b2&nr&note'], _e::text;
end $$;
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after update on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'b'); update t set mail = 'z' where id = 2 $$);
update t set mail = mail || '2';
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail=a2&nr&note', 'U:id id=2&mail=b2&nr&note', 'I:id id=9&mail=b&nr&note', 'U:id id=2&mail=z&nr&note'], _e::text;
end $$;
-- what took the values is gone again, or has others
call given($$ (1, 'a'), (2, 'b'), (3, 'c') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (2, 'b', 1); insert into t values (8, 'c', 1); delete from t where nr = 1; insert into t values (9, 'b'); update t set mail = 'z' where id = 9; insert into t values (2, 'b', 2) $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr&note', 'D:id id=2&mail=b&nr&note', 'D:id id=3&mail=c&nr&note', 'I:id id=2&mail=b&nr=1&note', 'I:id id=8&mail=c&nr=1&note',
                      'D:id id=2&mail=b&nr=1&note', 'D:id id=8&mail=c&nr=1&note', 'I:id id=9&mail=b&nr&note', 'U:id id=9&mail=z&nr&note', 'I:id id=2&mail=b&nr=2&note'], _e::text;
end $$;
-- the row itself was written, and had those values from another, in this transaction
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (5, 'e', 1), (2, 'x', 1); delete from t where nr = 1 $$);
begin; insert into t values (5, 'd'); update t set mail = 'e' where id = 5; delete from t where id = 2; savepoint s; insert into t values (2, 'b'); delete from t; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=5&mail=d&nr&note', 'U:id id=5&mail=e&nr&note', 'D:id id=2&mail=b&nr&note', 'I:id id=2&mail=b&nr&note', 'D:id id=1&mail=a&nr&note',
                      'D:id id=5&mail=e&nr&note', 'D:id id=2&mail=b&nr&note', 'I:id id=5&mail=e&nr=1&note', 'I:id id=2&mail=x&nr=1&note', 'D:id id=5&mail=e&nr=1&note',
                      'D:id id=2&mail=x&nr=1&note'], _e::text;
end $$;
-- what one statement does stays in its order, and what nobody takes is left alone
call given($$ (1, 'a'), (2, 'b'), (3, 'c') $$);
begin; insert into t values (4, 'd'); update t set mail = case id when 1 then 'x' else chr(ascii(mail) - 1) end; update t set mail = 'a9' where id = 2; update t set note = 'n'; delete from t where id = 1; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=4&mail=d&nr&note', 'U:id id=1&mail=x&nr&note', 'U:id id=2&mail=a&nr&note', 'U:id id=3&mail=b&nr&note', 'U:id id=4&mail=c&nr&note', 'U:id id=2&mail=a9&nr&note',
                      'U:id id=1&mail=x&nr&note=n', 'U:id id=3&mail=b&nr&note=n', 'U:id id=4&mail=c&nr&note=n', 'U:id id=2&mail=a9&nr&note=n', 'D:id id=1&mail=x&nr&note=n'], _e::text;
end $$;
-- after a savepoint in which it was done already
call given($$ (1, 'a'), (2, 'b') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'b') $$);
begin; insert into t values (5, 'e'); savepoint s; delete from t; rollback to s; delete from t where id = 5; savepoint s2; delete from t; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=5&mail=e&nr&note', 'D:id id=5&mail=e&nr&note', 'D:id id=1&mail=a&nr&note', 'D:id id=2&mail=b&nr&note', 'I:id id=9&mail=b&nr&note'], _e::text;
end $$;
-- unique indexes of several columns, of some rows only, over nulls where this server can, with another collation; added while capture is on
create unique index on t (nr, note); create unique index on t (note collate "POSIX") where nr is null;
call given($$ (1, 'a', 1, 'x'), (2, 'b', 2, 'y') $$); select pgq.refresh_capture('q', 't') is not null as ok \gset
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, null, 2, 'y') $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr=1&note=x', 'D:id id=2&mail=b&nr=2&note=y', 'I:id id=9&mail&nr=2&note=y'], _e::text;
end $$;
call given($$ (1, 'a', null, 'x'), (2, 'b', null, 'y') $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, null, null, 'y') $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr&note=x', 'D:id id=2&mail=b&nr&note=y', 'I:id id=9&mail&nr&note=y'], _e::text;
end $$;
-- one that is dropped is noticed: nothing looks through the whole table for it
drop index t_note_idx; call given($$ (1, 'a', 1, 'x') $$); delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr=1&note=x'], _e::text;
    assert not exists (select from pg_proc p join pgq.capture c on p.proname = c.function_name where prosrc ~ 'POSIX');
end $$;
select current_setting('server_version_num')::int >= 150000 as nulls \gset
\if :nulls
create unique index on t (nr) nulls not distinct; select pgq.refresh_capture('q', 't') is not null as ok \gset
call given($$ (1, 'a', 1), (2, 'b', null) $$);
create trigger "Audit" after delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, null, null) $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&mail=a&nr=1&note', 'D:id id=2&mail=b&nr&note', 'I:id id=9&mail&nr&note'], _e::text;
end $$;
drop index t_nr_idx;
\endif
-- an index on an expression, if all in it is PostgreSQL's own; an exclusion constraint
drop table t; create table t (id int primary key, mail text, nr int, note text, during int4range, exclude using gist (during with &&)); select pgq.capture_table('q', 't') = 'row' as ok \gset
create unique index on t (lower(mail), (nr + 1)) where nr > 0; create unique index on t ((note || ''));
call given($$ (1, 'A', 1, 'x'), (2, 'Bé', 2, 'y') $$);
create trigger "Audit" after update or delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'bÉ', 2, 'z'), (8, 'c', 2, 'y') $$);
update t set mail = id, note = id;
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail=1&nr=1&note=1&during', 'U:id id=2&mail=2&nr=2&note=2&during', 'I:id id=9&mail=b%c3%89&nr=2&note=z&during', 'I:id id=8&mail=c&nr=2&note=y&during'], _e::text;
end $$;
call given($$ (1, 'A', 1, 'x', '[1,5)'), (2, 'B', 2, 'y', '[5,9)') $$);
create trigger "Audit" after update or delete on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'd', 2, 'z', '[8,10)') $$);
delete from t;
do $$ declare _e text[] := events(); begin
    assert array(select "left"(e, 9) from unnest(_e) e) = '{D:id id=1,D:id id=2,I:id id=9}', _e::text;
end $$;
create function mine(text) returns text immutable language plpgsql as $$ begin if current_user <> session_user then raise 'called'; end if; return $1; end $$;
drop index t_lower_expr_idx; create unique index mine on t (mine(mail)); select pgq.refresh_capture('q', 't') is not null as ok \gset
call given($$ (1, 'A', 1, 'x'), (2, 'B', 2, 'y') $$);
create trigger "Audit" after update on t for each row when (old.id = 1) execute function act($$ insert into t values (9, 'B', 2, 'z') $$);
update t set mail = id, nr = null;
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=1&mail=1&nr&note=x&during', 'U:id id=2&mail=2&nr&note=y&during', 'I:id id=9&mail=B&nr=2&note=z&during'], _e::text;
end $$;
drop table t; create table t (id int primary key, mail text unique, nr int, note text); select pgq.capture_table('q', 't') = 'row' as ok \gset
-- no look at the table is needed for it
call given($$ (1, 'a') $$); begin; insert into t values (2, 'b'); delete from t where id = 2;
insert into t select n, n from generate_series(10, 20000) n; delete from t where id < 500;
do $$ begin
    assert (select seq_tup_read from pg_stat_xact_user_tables where relname = 't') < 100000, (select to_jsonb(s) from pg_stat_xact_user_tables s where relname = 't');
end $$;
commit; select events() is not null as ok \gset
-- a key that must not overlap
select current_setting('server_version_num')::int >= 180000 as periods \gset
\if :periods
create table o (a int4range, during int4range, v text, primary key (a, during without overlaps)); select pgq.capture_table('q', 'o') = 'row' as ok \gset
create trigger "Audit" after delete on o for each row when (old.v = 'x') execute function act($$ insert into o values ('[1,2)', '[7,20)', 'back') $$);
insert into o values ('[1,2)', '[1,5)', 'x'), ('[1,2)', '[5,9)', 'y'); delete from o;
do $$ declare _e text[] := events(); begin
    assert array(select "left"(e, 1) from unnest(_e) e) = '{I,I,D,D,I}', _e::text;
end $$;
\endif
-- a table whose key was named, with and without a unique index
create table p (a int not null unique, v text); select pgq.capture_table('q', 'p', 'pkey=a') = 'row' as ok \gset
create trigger "Audit" after delete on p for each row execute function act($$ insert into p values (1, 'back') $$);
insert into p values (1, 'x'); delete from p;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:a a=1&v=x public.p', 'D:a a=1&v=x public.p', 'I:a a=1&v=back public.p'], _e::text;
end $$;
-- columns called as the variables of the function are
create table w (_self int primary key, _command int unique, _key int, capture int, x int unique, old int); select pgq.capture_table('q', 'w') = 'row' as ok \gset
create trigger "Audit" after update on w for each row when (old._self = 1) execute function act($$ insert into w values (9, 2, 0, 0, 2) $$);
insert into w values (1, 1, 0, 0, 1), (2, 2, 0, 0, 2); update w set _command = _command + 10, x = x + 10;
do $$ declare _e text[] := events(); begin
    assert array(select split_part(e, '&', 1) from unnest(_e) e) = '{I:_self _self=1,I:_self _self=2,U:_self _self=1,U:_self _self=2,I:_self _self=9}', _e::text;
end $$;
-- one that leaves out a column of a unique index, and one with the old row
create table i (id int primary key, a int unique, b int unique, c int); select pgq.capture_table('q', 'i', 'ignore=a', 'backup') = 'row' as ok \gset
create trigger "Audit" after update on i for each row when (old.id = 1) execute function act($$ insert into i values (9, 2, 2) $$);
insert into i values (1, 1, 1), (2, 2, 2); update i set a = a + 10, b = b + 10;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=1&b=1&c public.i', 'I:id id=2&b=2&c public.i', 'U:id id=1&b=11&c public.i id=1&b=1&c', 'U:id id=2&b=12&c public.i id=2&b=2&c', 'I:id id=9&b=2&c public.i'], _e::text;
end $$;
-- a row that was changed in a savepoint that is gone
create table s (id int primary key, u int unique, note text); create table other (i int); select pgq.capture_table('q', 's') = 'row' as ok \gset
create function undone() returns trigger language plpgsql as $$ begin
    if tg_op = 'INSERT' then begin update s set note = 'z' where id = new.id; raise division_by_zero; exception when division_by_zero then null; end;
    elsif pg_trigger_depth() = 1 then insert into s values (2, 2, 'back'); end if; return null; end $$;
insert into s values (1, 1, 'a'), (2, 2, 'b');
create trigger "A" after delete on s for each row when (old.id = 1) execute function undone(); create trigger "B" after insert on s for each row execute function undone();
select events() is not null as ok \gset
begin; insert into other values (1); insert into other values (2); insert into other values (3); delete from s where id in (1, 2); commit;
do $$ declare _e text[] := events(); begin assert array(select split_part(e, '&', 1) from unnest(_e) e) = '{D:id id=1,D:id id=2,I:id id=2}', _e::text; end $$;
-- a cascade deletes what a trigger's insert then takes from, inside of a statement that updates as well
create table k (id int primary key, a int unique, b int references k on delete cascade); select pgq.capture_table('q', 'k') = 'row' as ok \gset
insert into k values (1, 1, null), (2, 2, 1), (5, 5, null);
create trigger "Audit" after update on k for each row when (pg_trigger_depth() = 0) execute function act($$ insert into k values (1, 2, null) $$); select events() is not null as ok \gset
\if :nulls
merge into k using (values (1), (5)) s (i) on k.id = s.i when matched and i = 1 then delete when matched then update set a = 11;
do $$ declare _e text[] := events(); begin assert array(select split_part(e, '&b', 1) from unnest(_e) e) = array['D:id id=1&a=1', 'U:id id=5&a=11', 'D:id id=2&a=2', 'I:id id=1&a=2'], _e::text; end $$;
\endif
