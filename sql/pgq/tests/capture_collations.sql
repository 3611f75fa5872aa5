-- Columns whose collations disagree, or take other characters for equal; what else a session or a younger object does to generated code.
select pgq.create_queue('q');
\ir captured.psql
create collation blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false); create domain en as text collate "en-x-icu";
create function decoded(text) returns text language sql as $$
    select convert_from(string_agg(case when length(m[1]) = 1 then convert_to(case m[1] when '+' then ' ' else m[1] end, 'UTF8') else decode(substr(m[1], 2), 'hex') end, ''::bytea order by nr), 'UTF8')
      from regexp_matches($1, '(%..|.)', 'g') with ordinality u (m, nr) $$;

-- of one table; by row, by statement, and generic
create table t (id int primary key, b text collate "C", d text collate "en-x-icu", n name, e en, v varchar(40), a text[] collate "en-x-icu");
create table s (like t including all); create table g (like t including all);
create table bt (id int primary key, x text collate blind, a text[] collate blind); create table bs (like bt including all); create table bg (like bt including all);
create table bk (k text collate blind primary key, x text);
select pgq.capture_table('q', 't'), pgq.capture_table('q', 's', 'form=statement'), pgq.capture_table('q', 'g', 'form=generic'),
       pgq.capture_table('q', 'bt'), pgq.capture_table('q', 'bs', 'form=statement'), pgq.capture_table('q', 'bg', 'form=generic'), pgq.capture_table('q', 'bk') \gset x_
create procedure change(_table text) language plpgsql as $$ begin
    execute format('insert into %I values (1, ''b'', ''d'', ''n'', ''e'', ''v'', ''{a,b}''), (2, ''é/'', ''x y'', ''n&'', ''+'', ''%%'', ''{"é ="}''), (3, null, '''', null, null, E''\x01'', ''{}'')', _table);
    execute format('update %I set d = ''é'' where id = 2; delete from %1$I where id = 3', _table);
    if _table <> 'g' then   -- which refuses it
        execute format('update %I set id = 4 where id = 1', _table);
    end if;
end $$;
-- what a collation without accents, case and widths finds elsewhere: fullwidth signs, controls, case; 60 different characters; a long value
create procedure change_blind(_table text) language plpgsql as $$ begin
    execute format('insert into %I values (1, ''％full＋width＝／ a+b c'', ''{％,"a+b c"}''), (2, ''p'' || chr(1) || ''q/'' || chr(3) || ''é'', null), (3, ''x/y'', ''{}''),
        (4, (select string_agg(chr(n), '''') from generate_series(192, 260) n), null), (5, repeat(''x/Y％ '', 40000), null), (6, ''plain'', null)', _table);
    execute format('update %I set x = x || ''É''; delete from %1$I where id = 3', _table);
end $$;
do $$
declare _e text[]; _generic text[]; _table text;
begin
    foreach _table in array '{g,t,s}'::text[] loop
        call change(_table);
        _e := array(select regexp_replace(e, ' public\..$', '') from unnest(events()) e order by e);
        assert cardinality(_e) = case _table when 'g' then 5 else 7 end, _table || _e::text;
        assert _e @> (array['I:id id=2&b=%c3%a9%2f&d=x+y&n=n%26&e=%2b&v=%25&a=%7b%22%c3%a9+%3d%22%7d', 'I:id id=3&b&d=&n&e&v=%01&a=%7b%7d',
                               'U:id id=2&b=%c3%a9%2f&d=%c3%a9&n=n%26&e=%2b&v=%25&a=%7b%22%c3%a9+%3d%22%7d', 'D:id id=3&b&d=&n&e&v=%01&a=%7b%7d']
                      || case when _table <> 'g' then array['D:id id=1&b=b&d=d&n=n&e=e&v=v&a=%7ba%2cb%7d', 'I:id id=4&b=b&d=d&n=n&e=e&v=v&a=%7ba%2cb%7d'] end), _table || _e::text;
    end loop;
    foreach _table in array '{bg,bt,bs}'::text[] loop
        call change_blind(_table);
        _e := array(select regexp_replace(e, ' public\..*$', '') from unnest(events()) e order by e collate "C");
        assert cardinality(_e) = 13, _table;
        -- what is written is what the table holds
        if _table = 'bt' then
            assert (select bool_and(decoded(substring(e from '[&]x=([^&]*)')) = b.x collate "C" and decoded(substring(e from '[&]a=([^&]*)')) is not distinct from b.a::text collate "C") and count(*) = 5
                      from bt b join unnest(_e) e on e ~ format('^U:id id=%s&x=[^&]*&a', b.id)), left(_e::text, 600);
        end if;
        if _table = 'bg' then _generic := _e; else assert _e = _generic, _table || left(_e::text, 600); end if;
    end loop;
end $$;
insert into bk values ('％A/b', 'x'); update bk set x = 'y'; update bk set k = '%a/b'; delete from bk;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:k k=%ef%bc%85A%2fb&x=x public.bk,U:k k=%ef%bc%85A%2fb&x=y public.bk,D:k k=%ef%bc%85A%2fb&x=y public.bk,I:k k=%25a%2fb&x=y public.bk,D:k k=%25a%2fb&x=y public.bk}', _e::text;
end $$;

-- by statement: a table that has children from now on
create table p (id int primary key, n int); create table child (id int not null, n int); insert into child values (5, 5);
select pgq.capture_table('q', 'p', 'form=statement') = 'statement' as ok \gset
insert into p values (1, 1);
alter table child inherit p;
do $$ declare _sql text; begin
    assert events() = '{I:id id=1&n=1 public.p}';
    foreach _sql in array array['update p set n = 1', 'delete from p', 'insert into p values (2)'] loop
        assert refused(_sql) = '0A000 table public.p is inherited: its capture by statement cannot tell its rows from those of its children', refused(_sql);
    end loop;
    assert pgq.capture_table('q', 'p') = 'row';
end $$;
update p set n = 7;
do $$ declare _e text[] := events(); begin assert _e = '{U:id id=1&n=7 public.p}', _e::text; end $$;

-- an index that is about to be dropped concurrently keeps no rows apart
create table i (id int primary key deferrable initially deferred, n int); create unique index i_u on i (id);
select pgq.capture_table('q', 'i') = 'row' as ok \gset
insert into i values (1, 1), (2, 2); update i set n = 3 where id = 2;
update pg_index set (indisvalid, indisready, indislive) = (false, false, false) where indexrelid = 'i_u'::regclass;
do $$ begin assert refused('update i set id = 3 - id') = '0A000 primary key update not allowed: the key is deferrable', refused('update i set id = 3 - id'); perform events(); end $$;
update pg_index set (indisvalid, indisready, indislive) = (true, true, true) where indexrelid = 'i_u'::regclass; reindex index i_u;
update i set id = id + 10 where id = 1;
do $$ declare _e text[] := events(); begin assert _e = '{D:id id=1&n=1 public.i,I:id id=11&n=1 public.i}', _e::text; end $$;

-- quote_all_identifiers is the session's own matter
create table r (id int primary key, c regclass); select pgq.capture_table('q', 'r') = 'row' as ok \gset
set quote_all_identifiers = on; insert into r values (1, 'i'); reset quote_all_identifiers; insert into r values (2, 'i');
do $$ declare _e text[] := events(); begin assert _e = '{I:id id=1&c=public.i public.r,I:id id=2&c=public.i public.r}', _e::text; end $$;

-- virtual columns are not there for triggers
select current_setting('server_version_num')::int >= 180000 as has_virtual \gset
\if :has_virtual
create table v (id int primary key, a int, twice int generated always as (a * 2) virtual); create table vs (like v including all); create table vg (like v including all);
select pgq.capture_table('q', 'v'), pgq.capture_table('q', 'vs', 'form=statement'), pgq.capture_table('q', 'vg', 'form=generic') \gset x_
create procedure change_virtual() language plpgsql as $$ declare _t text; begin
    foreach _t in array '{v,vs,vg}'::text[] loop
        execute format('insert into %I (id, a) values (1, 5); update %1$I set a = 6; delete from %1$I', _t);
    end loop;
end $$;
call change_virtual();
do $$ declare _e text[] := events(); begin
    assert (select bool_and(e !~ 'twice') and count(*) = 9 from unnest(_e) e), _e::text;
end $$;
alter table v add more int generated always as (a * 3) virtual; alter table vs add more int generated always as (a * 3) virtual; alter table vg add more int generated always as (a * 3) virtual;
call change_virtual();
do $$ declare _e text[] := events(); begin
    assert (select bool_and(e !~ 'twice|more') and count(*) = 9 from unnest(_e) e), _e::text;
end $$;
\endif
