-- Rows that triggers change again before they are logged, in a table that the owner of PgQ does not look at: a function of a user's is in one of its checks.
select pgq.create_queue('q');
\ir captured.psql
create function fine(int) returns bool immutable language plpgsql as $$ begin return true; end $$;
create table t (id int primary key, v text, n int check (fine(n))); select pgq.capture_table('q', 't') = 'row' as ok \gset
do $$ begin assert not pgq._capture_may_read('t'::regclass); end $$;
create function act() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then execute tg_argv[0]; end if; return null; end $$;
create procedure given(_rows text) language plpgsql as $$ begin
    drop trigger if exists "Audit" on t; truncate t; execute 'insert into t values ' || _rows; perform events();
end $$;
-- updated again: after an insert, an update of a row from before, and of one from this transaction, also to what it was
call given($$ (1, 'a+') $$); create trigger "Audit" after insert or update on t for each row execute function act($$ update t set v = v || '+' where v !~ '[+]' $$);
insert into t values (2, 'b'); update t set v = 'c' where id = 1;
begin; insert into t values (3, 'x'); update t set v = 'y' where id = 3; update t set v = 'y+', n = 1 where id = 3; update t set v = 'z' where id = 3; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=2&v=b&n', 'U:id id=2&v=b%2b&n', 'U:id id=1&v=c&n', 'U:id id=1&v=c%2b&n',
                      'I:id id=3&v=x&n', 'U:id id=3&v=x%2b&n', 'U:id id=3&v=y&n', 'U:id id=3&v=y%2b&n', 'U:id id=3&v=y%2b&n=1', 'U:id id=3&v=z&n=1', 'U:id id=3&v=z%2b&n=1'], _e::text;
end $$;
call given($$ (1, 'a') $$); create trigger "Audit" after update on t for each row when (new.v = 'b') execute function act($$ update t set v = 'a' where id = 1 $$);
begin; update t set v = 'a'; update t set v = 'b'; commit;
do $$ declare _e text[] := events(); begin assert _e = array['U:id id=1&v=a&n', 'U:id id=1&v=b&n', 'U:id id=1&v=a&n'], _e::text; end $$;
-- deleted, and inserted once more
call given($$ (1, 'a') $$); create trigger "Audit" after insert or update on t for each row when (new.v ~ '^x') execute function act($$ delete from t where v ~ '^x' $$);
insert into t values (2, 'x'); update t set v = 'xy' where id = 1;
begin; insert into t values (3, 'a'); delete from t where id = 3; insert into t values (3, 'x'); insert into t values (3, 'last'); commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:id id=2&v=x&n', 'D:id id=2&v=x&n', 'U:id id=1&v=xy&n', 'D:id id=1&v=xy&n',
                      'I:id id=3&v=a&n', 'D:id id=3&v=a&n', 'I:id id=3&v=x&n', 'D:id id=3&v=x&n', 'I:id id=3&v=last&n'], _e::text;
end $$;
-- its key changed, to and fro
call given($$ (1, 'a') $$); create trigger "Audit" after update on t for each row when (new.id = 2) execute function act($$ update t set id = 3, v = 'c' $$);
update t set id = 2, v = 'b';
do $$ declare _e text[] := events(); begin
    assert _e = array['D:id id=1&v=a&n', 'I:id id=2&v=b&n', 'D:id id=2&v=b&n', 'I:id id=3&v=c&n'] or _e = array['I:id id=3&v=c&n', 'D:id id=1&v=a&n', 'I:id id=2&v=b&n', 'D:id id=2&v=b&n'], _e::text;
end $$;
-- locked only: nothing is before or behind it
call given($$ (1, 'a'), (5, 'b') $$); create table child (id int references t);
create trigger "Audit" after update on t for each row execute function act($$ insert into child values (5) $$);
begin; update t set v = 'b' where id = 5; update t set v = 'a' where id = 5; update t set v = 'b' where id = 5; update t set v = 'c' where id = 5; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['U:id id=5&v=b&n', 'U:id id=5&v=a&n', 'U:id id=5&v=b&n', 'U:id id=5&v=c&n'], _e::text;
end $$;
