-- Keys that triggers use again, of types that are not PostgreSQL's own.  None of their owners' code runs.
select pgq.create_queue('q');
\ir captured.psql
create role maker; grant create on schema public to maker; grant usage on schema pgq to maker;
create function back() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then old.v := 'back'; execute format('insert into %I select ($1).*', tg_table_name) using old; end if; return null;
end $$;
create procedure again(_type text, _value text) language plpgsql as $$
declare _e text[];
begin
    execute format('create table k (k %s primary key, v text)', _type);
    perform pgq.capture_table('q', 'k');
    create trigger "Audit" after delete on k for each row execute function back();
    execute format('insert into k values (%1$L, ''a'')', _value);
    delete from k;
    _e := events();
    assert array(select "left"(e, 1) from unnest(_e) e) = '{I,D,I}' and _e[2] like '%&v=a %' and _e[3] like '%&v=back %', _type || _e::text;
    perform pgq.uncapture_table('q', 'k');
    drop table k;
end $$;
create type mood as enum ('so so', 'fine'); create type pair as (a numeric, b text); create domain several as mood[];
create type span as range (subtype = numeric); create domain word as text;
call again('mood', 'fine');
call again('pair', '(1.0,"x y")');
call again('several', '{fine,NULL}');
call again('span', '[1.0,2)');
call again('word', 'x');
call again('int4[]', '{1,2}');
call again('bit(3)', '101');
-- equal, with another text
create table n (k pair primary key, v text); select pgq.capture_table('q', 'n') = 'row' as ok \gset
create function anew() returns trigger language plpgsql as $$ begin insert into n values ('(1.000,x)', 'back'); return null; end $$;
create trigger "Audit" after delete on n for each row execute function anew();
insert into n values ('(1.0,x)', 'a'); delete from n;
do $$ declare _e text[] := events(); begin
    assert _e[2:] = array['D:k k=%281.0%2cx%29&v=a public.n', 'I:k k=%281.000%2cx%29&v=back public.n'], _e::text;
end $$;
-- a type with an implicit cast: its owner's function is not called, neither when the cast was there first nor when it comes later
set role maker; create type hue as enum ('red', 'blue');
create function spy(hue) returns text language plpgsql as $$ begin raise 'the spy runs as %', current_user using errcode = 'XX001'; end $$;
create cast (hue as text) with function spy(hue) as implicit; reset role;
call again('hue', 'red');
drop cast (hue as text); create table h (k hue primary key, v text); select pgq.capture_table('q', 'h') = 'row' as ok \gset
create trigger "Audit" after delete on h for each row execute function back(); insert into h values ('red', 'a');
set role maker; create cast (hue as text) with function spy(hue) as implicit; reset role;
delete from h; insert into h values ('blue', 'c'); delete from h;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:k k=red&v=a public.h', 'D:k k=red&v=a public.h', 'I:k k=red&v=back public.h', 'I:k k=blue&v=c public.h', 'D:k k=red&v=back public.h',
                      'D:k k=blue&v=c public.h', 'I:k k=red&v=back public.h', 'I:k k=blue&v=back public.h'], _e::text;
end $$;
-- an extension's type, where this installation has it
select exists (select from pg_available_extensions where name = 'citext') as citext \gset
\if :citext
create extension citext;
call again('citext', 'A');
create table c (k citext primary key, v text); select pgq.capture_table('q', 'c') = 'row' as ok \gset
create function other_case() returns trigger language plpgsql as $$ begin insert into c values (upper(old.k), 'back'); return null; end $$;
create trigger "Audit" after delete on c for each row execute function other_case(); insert into c values ('a', 'a'); delete from c;
do $$ declare _e text[] := events(); begin assert _e = array['I:k k=a&v=a public.c', 'D:k k=a&v=a public.c', 'I:k k=A&v=back public.c'], _e::text; end $$;
-- which is moved to where the owner of PgQ finds it, or not
create schema elsewhere; alter extension citext set schema elsewhere; insert into c values ('b', 'b'); delete from c where v = 'b';
do $$ declare _e text[] := events(); begin assert _e = array['I:k k=b&v=b public.c', 'D:k k=b&v=b public.c', 'I:k k=B&v=back public.c'], _e::text; end $$;
-- its operator, once a function of somebody's stands behind it, does not run as the owner of PgQ
create function my_equal(elsewhere.citext, elsewhere.citext) returns bool language plpgsql as $$ begin return lower($1::text) = lower($2::text); end $$;
update pg_operator set oprcode = 'my_equal(elsewhere.citext,elsewhere.citext)'::regprocedure where oprname = '=' and oprleft = 'elsewhere.citext'::regtype and oprright = 'elsewhere.citext'::regtype;
insert into c values ('c', 'c'); delete from c where v = 'c';
do $$ declare _e text[] := events(); begin assert _e = array['I:k k=c&v=c public.c', 'D:k k=c&v=c public.c', 'I:k k=C&v=back public.c'], _e::text; end $$;
\endif
