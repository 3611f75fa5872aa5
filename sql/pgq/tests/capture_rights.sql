-- cluster: own
-- A writer or owner of a captured table runs nothing with the rights of the owner of PgQ, and needs none of its roles.
select pgq.create_queue('q');
\ir captured.psql
create table stolen (who text);
create role owner_; create role writer;
create schema mine authorization owner_; grant usage on schema mine to writer;
set role owner_; set search_path = mine;
create function caught() returns text language plpgsql as $$ begin
    if current_user not in ('owner_', 'writer') then insert into public.stolen values (current_user); end if; return current_user; end $$;

-- types with everything a user can attach to one
create type evil as enum ('e', 'f'); create type pair as (a evil, b int);
create function evil_text(evil) returns text language plpgsql as $$ begin return mine.caught(); end $$;
create cast (evil as text) with function evil_text(evil) as implicit;
create function evil_int(evil) returns int8 language plpgsql as $$ begin perform mine.caught(); return 1; end $$;
create cast (evil as int8) with function evil_int(evil) as implicit;
create function evil_eq(evil, evil) returns bool language plpgsql as $$ begin perform mine.caught(); return true; end $$;
create operator = (function = evil_eq, leftarg = evil, rightarg = evil); create operator <> (function = evil_eq, leftarg = evil, rightarg = evil);
create function checked(text) returns bool language plpgsql as $$ begin perform mine.caught(); return true; end $$;
create domain guarded as text check (mine.checked(value)); create domain guarded_int as int check (mine.checked(value::text));
create table t (id int, e evil, p pair, g guarded, gi guarded_int, v text, d date, primary key (id, e));

-- operators and functions in front of those of PostgreSQL
create function fake(text, text) returns bool language plpgsql as $$ begin perform mine.caught(); return false; end $$;
create function fake_text(text, text) returns text language plpgsql as $$ begin perform mine.caught(); return ''; end $$;
create function fake_int(int8, int8) returns bool language plpgsql as $$ begin perform mine.caught(); return false; end $$;
create operator ~ (function = fake, leftarg = text, rightarg = text); create operator !~ (function = fake, leftarg = text, rightarg = text);
create operator = (function = fake, leftarg = text, rightarg = text); create operator <> (function = fake, leftarg = text, rightarg = text);
create operator ~~ (function = fake, leftarg = text, rightarg = text); create operator || (function = fake_text, leftarg = text, rightarg = text);
create operator = (function = fake_int, leftarg = int8, rightarg = int8); create operator < (function = fake_int, leftarg = int8, rightarg = int8);
create operator >= (function = fake_int, leftarg = int8, rightarg = int8); create operator > (function = fake_int, leftarg = int8, rightarg = int8);
create operator <> (function = fake_int, leftarg = int8, rightarg = int8);
create function replace(text, text, text) returns text language plpgsql as $$ begin return mine.caught(); end $$;
create function now() returns timestamptz language plpgsql as $$ begin perform mine.caught(); return pg_catalog.now(); end $$;
create function strpos(text, text) returns int language plpgsql as $$ begin perform mine.caught(); return 0; end $$;
create function length(text) returns int language plpgsql as $$ begin perform mine.caught(); return 0; end $$;
grant all on t to writer; grant execute on all functions in schema mine to writer;
reset role; reset search_path;
select pgq.capture_table('q', 'mine.t') = 'row' as ok \gset
create function work() returns void language plpgsql as $$ begin
    insert into mine.t values (1, 'e', '(e,1)', 'x y', 7, 'é & =', '2024-02-01'), (2, 'f', null, null, null, null, null);
    update mine.t set v = 'n', g = 'z' where id = 1; update mine.t set e = 'f' where id = 1; delete from mine.t where id = 2;
end $$;
create procedure all_styles() language plpgsql as $$ declare _path text; _style text; begin
    foreach _path in array '{"mine, pg_catalog","mine, public","pg_catalog, pg_temp"}'::text[] loop
        foreach _style in array '{ISO,SQL}'::text[] loop
            perform set_config('search_path', _path, false), set_config('datestyle', _style, false);
            perform public.work(); delete from mine.t where true;
        end loop;
    end loop;
end $$;
do $$ begin assert not has_function_privilege('writer', 'pgq.insert_event(text,text,text)', 'execute') and not has_schema_privilege('writer', 'pgq', 'create'); end $$;
set role writer; call public.all_styles(); set role owner_; call public.all_styles(); reset role; reset search_path; reset datestyle;
-- and after DDL: columns become of those types, the trigger is slow until written anew
set role owner_; alter table mine.t alter v type mine.evil using 'e', alter d type mine.guarded; alter table mine.t add x mine.evil default 'e'; reset role;
create or replace function work() returns void language plpgsql as $$ begin
    insert into mine.t values (1, 'e', '(e,1)', 'x y', 7, 'e', 'x'), (2, 'f', null, null, null, null, null); update mine.t set g = 'z' where id = 1; update mine.t set e = 'f' where id = 1;
end $$;
set role writer; call public.all_styles(); set role owner_; call public.all_styles(); reset role; reset search_path; reset datestyle;
do $$ begin
    assert (select count(*) from stolen) = 0, (select string_agg(who, ' ') from stolen);
    assert (select count(*) from pgq.event_1) > 100 and not exists (select from pgq.event_1 where ev_data !~ '^id=\d&e=[ef]&p(=%28e%2c1%29)?&');
end $$;

-- names that try to leave their quotes
create schema "s'; drop table stolen; --";
create type "s'; drop table stolen; --"."ty$code$'""pe" as enum ('a''b$code$\');
create table "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" ("i'd""%s%1$s" int, "k$x$\" "s'; drop table stolen; --"."ty$code$'""pe", "by" text, "a
b" text, "é" int, "new" int, "_data" text, "_state" int, "tg_op" text, primary key ("i'd""%s%1$s", "k$x$\"));
select pgq.create_queue(E'q''; drop table stolen; -- $code$ %s \\');
do $$ declare _table text := 's''; drop table stolen; --.t"a''b$code$ \\ %s %I'; _queue text := E'q''; drop table stolen; -- $code$ %s \\'; begin
    assert pgq.capture_table(_queue, _table, 'trigger=x''; drop table stolen; --"', 'backup', 'ev_extra1=''it''''s''', 'ignore=_state') = 'row';
    insert into "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" values (1, 'a''b$code$\', 'by', 'x', 1, 2, 'd', 3, 'op');
    update "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" set "by" = null; update "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" set "_state" = null;
    update "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" set "i'd""%s%1$s" = 2; delete from "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I";
    assert (select array_agg(ev_type || ' ' || ev_data || ' ' || ev_extra1 || coalesce(' ' || (ev_extra2 is not null), '') order by ev_id) from pgq.event_2)
      = array[E'I:i''d"%s%1$s,k$x$\\ i%27d%22%25s%251%24s=1&k%24x%24%5c=a%27b%24code%24%5c&by=by&a%0ab=x&%c3%a9=1&new=2&_data=d&tg_op=op it''s false',
              E'U:i''d"%s%1$s,k$x$\\ i%27d%22%25s%251%24s=1&k%24x%24%5c=a%27b%24code%24%5c&by&a%0ab=x&%c3%a9=1&new=2&_data=d&tg_op=op it''s true',
              E'D:i''d"%s%1$s,k$x$\\ i%27d%22%25s%251%24s=1&k%24x%24%5c=a%27b%24code%24%5c&by&a%0ab=x&%c3%a9=1&new=2&_data=d&tg_op=op it''s false',
              E'I:i''d"%s%1$s,k$x$\\ i%27d%22%25s%251%24s=2&k%24x%24%5c=a%27b%24code%24%5c&by&a%0ab=x&%c3%a9=1&new=2&_data=d&tg_op=op it''s false',
              E'D:i''d"%s%1$s,k$x$\\ i%27d%22%25s%251%24s=2&k%24x%24%5c=a%27b%24code%24%5c&by&a%0ab=x&%c3%a9=1&new=2&_data=d&tg_op=op it''s false'],
      (select array_agg(ev_type || ' ' || ev_data || ' ' || ev_extra1 || coalesce(' ' || (ev_extra2 is not null), '') order by ev_id) from pgq.event_2);
end $$;

-- who may put capture on a table: its owner, who may also work with queues
grant usage on schema pgq to owner_;
set role owner_;
do $$ begin
    assert refused('select pgq.capture_table(''q'', ''mine.t'')') ~ '^42501', 'capture_table';
    assert refused('create trigger x after insert on mine.t for each row execute function pgq._capture_1(''q'')') ~ '^42501', 'create trigger';
    assert refused('delete from pgq.capture') ~ '^42501' and refused('select pgq._capture_row(''q'', ''x'', 1, ''INSERT'', ''{}'', null, null, null)') ~ '^42501';
end $$;
reset role; create role admin in role pgq_admin; set role admin;
do $$ begin assert refused('select pgq.capture_table(''q'', ''mine.t'')') ~ '^42501 must be owner|^42501 permission denied', refused('select pgq.capture_table(''q'', ''mine.t'')'); end $$;
reset role; grant pgq_admin to owner_; set role owner_;
do $$ begin assert pgq.capture_table('q', 'mine.t') = 'row' and pgq.uncapture_table('q', 'mine.t') = 4; end $$;

-- a key that a trigger uses again, and what is learnt of texts
reset role; truncate stolen;
grant usage on schema mine to writer; set role owner_;
create table mine.s (id mine.guarded_int, v text, e mine.evil, g mine.guarded, primary key (id, v)); grant all on mine.s to writer;
insert into mine.s select n, 'õ', 'e', 'é' || n from generate_series(1, 100) n;
create function mine.back() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then insert into mine.s values (old.id, old.v, 'f', 'again'); end if; return null; end $$;
create trigger "Audit" after delete on mine.s for each row execute function mine.back();
reset role;
select pgq.capture_table('q', 'mine.s') = 'row' as ok \gset
set role writer; set search_path = mine, pg_catalog;
delete from mine.s where id operator(pg_catalog.=) 5;
reset role; reset search_path; select pgq.refresh_capture('q', 'mine.s') = 1 as ok \gset
do $$ begin assert (select chars ~ 'é' and chars ~ 'õ' and sampled = 2 from pgq.capture where rel_name = 's'), (select chars from pgq.capture where rel_name = 's'); end $$;
do $$ begin
    assert (select array_agg(ev_type || ' ' || ev_data order by ev_id) from pgq.event_1 where ev_extra1 = 'mine.s')
         = array['D:id,v id=5&v=%c3%b5&e=e&g=%c3%a95', 'I:id,v id=5&v=%c3%b5&e=f&g=again'], (select array_agg(ev_type || ' ' || ev_data order by ev_id)::text from pgq.event_1 where ev_extra1 = 'mine.s');
    assert not exists (select from stolen), (select string_agg(distinct who, ' ') from stolen);
end $$;
-- unique values of such types, by whatever operators their owner made for them
set role owner_; create table mine.u (id int primary key, p mine.pair unique, a mine.evil[] unique, e mine.evil unique); grant all on mine.u to writer;
create function mine.pair_eq(mine.pair, mine.pair) returns bool language plpgsql as $$ begin perform mine.caught(); return true; end $$;
create operator mine.= (function = mine.pair_eq, leftarg = mine.pair, rightarg = mine.pair);
create function mine.array_eq(mine.evil[], mine.evil[]) returns bool language plpgsql as $$ begin perform mine.caught(); return true; end $$;
create operator mine.= (function = mine.array_eq, leftarg = mine.evil[], rightarg = mine.evil[]);
create function mine.take() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then insert into mine.u values (old.id + 10, old.p, old.a, old.e); end if; return null; end $$;
create trigger "Audit" after update or delete on mine.u for each row execute function mine.take();
reset role; select pgq.capture_table('q', 'mine.u') = 'row' as ok \gset
set role writer; set search_path = mine, pg_catalog;
insert into mine.u values (1, '(e,1)', '{e,f}', 'e'); delete from mine.u; update mine.u set p = '(f,2)', a = null, e = 'f';
set role owner_; create function mine.pair_text(mine.pair) returns text language plpgsql as $$ begin return mine.caught(); end $$; create cast (mine.pair as text) with function mine.pair_text(mine.pair) as implicit;
set role writer; delete from mine.u where id operator(pg_catalog.=) 21;
reset role; reset search_path;
do $$ begin
    assert (select array_agg(ev_type || ' ' || split_part(ev_data, '&', 1) order by ev_id) from pgq.event_1 where ev_extra1 = 'mine.u')
         = '{I:id id=1,D:id id=1,I:id id=11,U:id id=11,I:id id=21,D:id id=21,I:id id=31}', (select array_agg(ev_type || ' ' || ev_data order by ev_id)::text from pgq.event_1 where ev_extra1 = 'mine.u');
    assert not exists (select from stolen), (select string_agg(distinct who, ' ') from stolen);
end $$;
-- what the planner works out of a table's statistics, checks and indexes is worked out by whoever asks: capture asks for nothing
reset role; truncate stolen; set role owner_; set search_path = mine;
create function mine.deep() returns int volatile language plpgsql as $$ begin perform mine.caught(); return 1; end $$;
create function mine.folded(int) returns int immutable language plpgsql as $$ begin return mine.deep(); end $$;
create function mine.folded_eq(int, int) returns bool immutable language plpgsql as $$ begin perform mine.deep(); return true; end $$;
create operator mine.=== (function = mine.folded_eq, leftarg = int, rightarg = int);
create table mine.x (id int primary key, u int unique, note text); grant all on mine.x to writer; create table mine.y (like mine.x including all); create table mine.z (like mine.x including all); create table mine.i (like mine.x including all);
grant all on mine.y, mine.z, mine.i to writer;
reset role; reset search_path;
select bool_and(pgq.capture_table('q', 'mine.' || t) = 'row') as ok from unnest('{x,y,z,i}'::text[]) t \gset
create function take_and_change() returns void language plpgsql as $$
declare _t text;
begin
    foreach _t in array '{x,y,z,i}'::text[] loop
        execute format('insert into mine.%1$s values (1, 1, ''a''), (2, 2, ''b''); delete from mine.%1$s; with i as (insert into mine.%1$s values (3, 3, ''c'') returning 1) select from i; update mine.%1$s set u = 4', _t);
    end loop;
end $$;
set role owner_;
create statistics mine.st on (mine.folded(1)), note from mine.x; alter table mine.y add check (mine.folded(1) is not null);
alter table mine.z add check (1 operator(mine.===) 1); create index on mine.i ((mine.folded(1) + id)) where mine.folded(2) = 1;
create function mine.again() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then execute format('update mine.%I set note = ''again'' where id operator(pg_catalog.=) $1', tg_table_name) using new.id; end if; return null; end $$;
create trigger "Again" after insert or update on mine.x for each row execute function mine.again(); create trigger "Again" after insert or update on mine.y for each row execute function mine.again();
create trigger "Again" after insert or update on mine.z for each row execute function mine.again(); create trigger "Again" after insert or update on mine.i for each row execute function mine.again();
set constraint_exclusion = on; select public.take_and_change(); reset role; truncate mine.x, mine.y, mine.z, mine.i; discard plans; set role writer; select public.take_and_change(); reset role; reset constraint_exclusion;
select pgq.refresh_capture() is not null as ok \gset
do $$ begin assert not exists (select from stolen), (select string_agg(distinct who, ' ') from stolen); end $$;
-- it has not even the right to, nor any use for it
do $$ declare _t text; begin
    foreach _t in array '{s,u,x,y,z,i}'::text[] loop
        assert not exists (select from pg_class c, aclexplode(c.relacl) a where c.oid = ('mine.' || _t)::regclass and a.grantee = (select proowner from pg_proc where proname = '_write_capture' and pronamespace = 'pgq'::regnamespace)), _t;
    end loop;
end $$;
-- the clause that draws numbers gives them to nobody but the trigger
create sequence secret; set role writer;
do $$ declare _s text; begin
    foreach _s in array array['x y z', '', format(' U(0,1)/%s/%s=', 'mine.s'::regclass::oid, pg_relation_filenode('mine.s'))] loop
        perform set_config('skytools.late_capture_1', _s, true);
        assert not pgq._capture_number('_capture_1', 'mine.s'::regclass, '(0,1)', 'public.secret'), _s;
    end loop;
    assert refused('select secret from pgq.capture_secret') = '42501 permission denied for table capture_secret', refused('select secret from pgq.capture_secret');
end $$;
reset role;
do $$ begin
    perform pgq._capture_leave_to_after('_capture_1', 'mine.s'::regclass, '(0,1)');
    assert refused('select pgq._capture_number(''_capture_1'', ''mine.s''::regclass, ''(0,1)'', ''public.secret'')') ~ '^42501 sequence secret is not', refused('select pgq._capture_number(''_capture_1'', ''mine.s''::regclass, ''(0,1)'', ''public.secret'')');
    assert (select last_value = 1 and not is_called from secret);
end $$;
-- what is refused by statement is told to a writer who has no rights here
select pgq.capture_table('q', 'mine.s', 'form=statement') = 'statement' as ok \gset
set role writer;
do $$ begin assert refused('delete from mine.s where id operator(pg_catalog.=) 6') ~ '^0A000 statement on table .* inside of another one on it', refused('delete from mine.s where id operator(pg_catalog.=) 6'); end $$;
reset role;
-- a writer has no numbers drawn under the name of generated capture, from this queue or another
select pgq.create_queue('other') is not null as ok \gset
create table forged (id int primary key, v text); grant select, insert, update, delete on forged to writer; select pgq.capture_table('q', 'forged', 'tgflags=ID') = 'row' as ok \gset
create function forge(_id int, _at tid) returns int language plpgsql as $$ declare _f name := (select function_name from pgq.capture where rel_name = 'forged'); begin
    perform pgq._trigger_first('other', _f::text, 'forged'::regclass, _at, null), pgq._trigger_first('q', _f::text, 'forged'::regclass, _at, null), pgq._trigger_number('other', _f::text, 'forged'::regclass, _at, null);
    perform 1 from forged where id = _id for update; return _id;
end $$;
do $$ begin perform nextval('pgq.event_1_id_seq') from generate_series(1, 100); end $$;
set role writer; insert into forged values (1, 'a') returning forge(id, ctid) \g /dev/null
reset role; do $$ begin assert (select ev_id = (select last_value from pgq.event_1_id_seq) from pgq.event_1 where ev_extra1 = 'public.forged'); end $$;
-- a dump without data has no secret: nothing fails, and there is one again
delete from pgq.capture_secret; update forged set id = 2; delete from forged; select pgq.refresh_capture('q', 'forged') = 1 as ok \gset
do $$ begin assert (select count(*) = 1 from pgq.capture_secret); end $$;
