-- Nulls where the generated code expects none: NOT NULL that was dropped, columns that exchange their names, nulls in keys.
select pgq.create_queue('q');
\ir captured.psql

-- by row and by statement, while the code is the old one and when it was written anew
create table t (id int primary key, i int not null, tx text not null, d date not null, e varchar(9) not null, rest text);
create table s (like t including all);
select pgq.capture_table('q', 't') = 'row' as ok, pgq.capture_table('q', 's', 'form=statement') = 'statement' as x \gset
insert into t values (1, 1, 'a', '2024-02-01', 'b', 'é'); insert into s table t;
select events() is null as x \gset
alter table t alter i drop not null, alter tx drop not null, alter d drop not null, alter e drop not null;
alter table s alter i drop not null, alter tx drop not null, alter d drop not null, alter e drop not null;
create procedure change(_table text) language plpgsql as $$ begin
    execute format('insert into %I values (2, null, null, null, null, null)', _table);
    execute format('insert into %I values (3, null, ''x'', null, '''', ''é'')', _table);
    execute format('update %I set tx = null, i = 5 where id = 1', _table);
    execute format('delete from %I', _table);
end $$;
do $$
declare _e text[]; _table text; _changed text[] := '{U:id id=1&i=5&tx&d=2024-02-01&e=b&rest=%c3%a9,D:id id=1&i=5&tx&d=2024-02-01&e=b&rest=%c3%a9}';
begin
    foreach _table in array '{t,s}'::text[] loop
        for _n in 1 .. 2 loop
            call change(_table);
            _e := array(select replace(e, ' public.s', '') from unnest(events()) e order by e);
            assert _e = array(select e from unnest('{I:id id=2&i&tx&d&e&rest,I:id id=3&i&tx=x&d&e=&rest=%c3%a9,D:id id=2&i&tx&d&e&rest,D:id id=3&i&tx=x&d&e=&rest=%c3%a9}'::text[]
                                                   || case when _n = 1 then _changed end) e order by e), _table || _n || _e::text;
        end loop;
    end loop;
end $$;
-- nor does a row depend on that being noticed, which an old snapshot may not show
alter table t alter i set not null, alter tx set not null, alter e set not null;
select pgq.refresh_capture('q', 't') = 1 as ok \gset
insert into t values (5, 1, 'x', null, 'y', null); select events() is null as x \gset
begin;
create or replace function pgq._capture_same_columns(i_table oid, i_columns text[], i_present text[]) returns boolean language sql as 'select true';
alter table t alter i drop not null, alter tx drop not null;
insert into t values (4, null, null, null, 'é', null); update t set e = 'x' where id = 4; delete from t where id = 4;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=4&i&tx&d&e=%c3%a9&rest,U:id id=4&i&tx&d&e=x&rest,D:id id=4&i&tx&d&e=x&rest}', _e::text;
end $$;
rollback;

-- names are exchanged: those of a column that is NOT NULL, of one that is unique, of one that is ignored
create table n (id int primary key, a text not null, b text); create table u (id int primary key, a text unique, b text);
select pgq.capture_table('q', 'n') = 'row' as ok, pgq.capture_table('q', 'u') = 'row' as x \gset
insert into n values (1, 'x', 'y'); insert into u values (1, 'x', 'y'); update u set b = 'z'; select events() is null as x \gset
alter table n rename a to c; alter table n rename b to a; alter table n rename c to b;
alter table u rename a to c; alter table u rename b to a; alter table u rename c to b;
insert into n (id, a, b) values (2, null, 'q'); update n set a = null;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=2&b=q&a public.n,U:id id=1&b=x&a public.n,U:id id=2&b=q&a public.n}' or _e = '{I:id id=2&a&b=q public.n,U:id id=1&a&b=x public.n,U:id id=2&a&b=q public.n}', _e::text;
end $$;
-- what takes a value from another row is logged behind what gave it free
create function freed() returns trigger language plpgsql as $$ begin update u set b = 'other' where b = new.b and id <> new.id; return new; end $$;
create trigger freed before update on u for each row when (new.id = 2) execute function freed();
insert into u (id, b) values (2, 'w'); update u set b = 'x' where id = 2;
do $$ declare _e text[] := events(); begin
    assert _e[2] ~ '^U:id id=1&.*b=other' and _e[3] ~ '^U:id id=2&.*b=x', _e::text;
end $$;

-- tables exchange their names, all of them are written anew; one takes the name of another that is gone
create table one (id int primary key, a int); create table two (id int primary key, b int); create table three (id int primary key, c int);
select pgq.capture_table('q', 'one') = 'row' as ok, pgq.capture_table('q', 'two') = 'row' as x, pgq.capture_table('q', 'three') = 'row' as y \gset
alter table one rename to old; alter table two rename to one; alter table three rename to two; alter table old rename to three;
insert into one values (1, 1);
do $$ begin
    assert (select array_agg(rel_name || ' ' || (select a.attname from pg_attribute a join pg_trigger t on t.tgrelid = a.attrelid
                                                  where t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name)) and t.tgname = '_londiste_q' and a.attnum = 2) order by rel_name)
              from pgq.capture c where rel_name in ('one', 'two', 'three')) = '{one b,three a,two c}';
    assert pgq.refresh_capture() = 7, pgq.refresh_capture();
end $$;
drop table three; alter table two rename to three; insert into three values (1, 1); insert into one values (2, 1);
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=1&b=1 public.one,I:id id=1&c=1 public.three,I:id id=2&b=1 public.one}', _e::text;
    assert (select count(*) = 2 from pgq.capture where rel_name in ('one', 'two', 'three'));
end $$;

-- nulls in a key that is not the primary one
create table k (a int unique, b text, v text); create table ks (a text unique, v text); create table km (a text unique, v text);
select pgq.capture_table('q', 'k', 'pkey=a') = 'row' as ok, pgq.capture_table('q', 'ks', 'pkey=a', 'form=statement') = 'statement' as x,
       pgq.capture_table('q', 'km', 'pkey=a', 'capture_failure=mark') = 'row' as y \gset
insert into k values (1, 'b', 'x'); update k set a = null; insert into ks values ('', 'x'), ('b', 'y'); update ks set a = null where a = ''; update ks set a = '' where a = 'b';
do $$
declare _e text[] := events(); _sql text;
begin
    assert _e = '{I:a a=1&b=b&v=x public.k,D:a a=1&b=b&v=x public.k,I:a a&b=b&v=x public.k,'
                'I:a a=&v=x public.ks,I:a a=b&v=y public.ks,D:a a=&v=x public.ks,I:a a&v=x public.ks,D:a a=b&v=y public.ks,I:a a=&v=y public.ks}', _e::text;
    for _n in 1 .. 2 loop
        foreach _sql in array array['update k set v = ''z''', 'update k set a = 2', 'delete from k', 'update ks set v = ''z''', 'update ks set a = ''q'' where a is null', 'delete from ks'] loop
            assert refused(_sql) = '55000 Update/Delete of a row whose key is null', _sql || ': ' || refused(_sql);
        end loop;
        -- the same where the code is not that of the table
        alter table k drop column if exists b; alter table ks add if not exists b int;
    end loop;
    assert events() is null;
end $$;
set client_min_messages = error;
insert into km values (null, 'x'); update km set v = 'y'; delete from km;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:a a&v=x public.km}', _e::text;
    assert (select lost_reason = 'the key of a row is null' from pgq.capture where rel_name = 'km');
end $$;

-- a key that is unique by an index becomes deferrable: the index stays
create table d (id int primary key, code text not null, v text); create unique index d_code on d (code);
select pgq.capture_table('q', 'd', 'pkey=code') = 'row' as ok \gset
insert into d values (1, 'a', 'x'), (2, 'b', 'y'); select events() is null as x \gset
alter table d add constraint d_code unique using index d_code deferrable initially deferred;
do $$ begin
    assert refused('update d set code = ''b'' where id = 1; update d set code = ''a'' where id = 2') = '0A000 primary key update not allowed: the key is deferrable';
    assert refused('insert into d values (3, ''c'', ''z'')') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended';
    assert pgq.capture_table('q', 'd', 'pkey=code') = 'row';
    assert refused('insert into d values (3, ''a'', ''z'')') ~ '^23505';
end $$;
insert into d values (3, 'c', 'z');
do $$ declare _e text[] := events(); begin assert _e = '{I:code id=3&code=c&v=z public.d}', _e::text; end $$;
