-- cluster: own
-- A writer or owner of a captured table runs nothing with the rights of the owner of PgQ, and needs none of its roles.
select pgq.create_queue('q');
\ir captured.psql
create table stolen (who text);
create role owner_; create role writer;
\set form row
\ir hostile.psql

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
-- by statement, which takes neither backup nor ignore=
create table "s'; drop table stolen; --"."by statement"(like "s'; drop table stolen; --"."t""a'b$code$ \\ %s %I" including all);
do $$ declare _queue text := E'q''; drop table stolen; -- $code$ %s \\'; _expected text[]; begin
    assert pgq.capture_table(_queue, 's''; drop table stolen; --.by statement', 'trigger=y''; drop table stolen; --"', 'ev_extra1=''it''''s''', 'form=statement') = 'statement';
    truncate pgq.event_2_0;
    insert into "s'; drop table stolen; --"."by statement" values (1, 'a''b$code$\', 'by', 'x', 1, 2, 'd', 3, 'op'), (2, 'a''b$code$\', null, null, null, null, null, null, null);
    update "s'; drop table stolen; --"."by statement" set "by" = null; update "s'; drop table stolen; --"."by statement" set "i'd""%s%1$s" = "i'd""%s%1$s" - 1; delete from "s'; drop table stolen; --"."by statement";
    -- 1 and 2 become 0 and 1: a delete, an update, an insert
    _expected := array(select format(E'%s:i\'d"%%s%%1$s,k$x$\\ i%%27d%%22%%25s%%251%%24s=%s&k%%24x%%24%%5c=a%%27b%%24code%%24%%5c&by%s&%s it\'s', e.op, e.id, e.by_,
                                     case when e.filled then 'a%0ab=x&%c3%a9=1&new=2&_data=d&_state=3&tg_op=op' else 'a%0ab&%c3%a9&new&_data&_state&tg_op' end)
                         from (values (1, 'I', 1, '=by', true), (2, 'I', 2, '', false), (3, 'U', 1, '', true), (4, 'U', 2, '', false),
                                      (5, 'D', 2, '', false), (6, 'U', 1, '', false), (7, 'I', 0, '', true), (8, 'D', 0, '', true), (9, 'D', 1, '', false)) e (nr, op, id, by_, filled)
                        order by e.nr);
    assert (select array_agg(ev_type || ' ' || ev_data || ' ' || ev_extra1 order by ev_id) from pgq.event_2) = _expected,
        (select array_agg(ev_type || ' ' || ev_data || ' ' || ev_extra1 order by ev_id) from pgq.event_2)::text;
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
-- the clause that draws numbers gives them to nobody but the trigger
reset role; create sequence secret; set role writer;
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
-- the owner of PgQ may put generated code on another table: its events are those of a generic trigger there, and its own table has the usual ones
create table by_row (id int primary key, v text); create table by_statement (like by_row including all);
select pgq.capture_table('q', 'by_row') = 'row' and pgq.capture_table('q', 'by_statement', 'form=statement') = 'statement' as ok \gset
create table other (d date, k text, n numeric, primary key (k, d)); create table other_statement (like other including all); create table other_generic (like other including all);
do $$ declare _f name := (select function_name from pgq.capture where rel_name = 'by_row'); _s name := (select function_name from pgq.capture where rel_name = 'by_statement'); _code text[]; _t text; _e text[]; _expected text[]; begin
    execute format('create trigger by_hand after insert or update or delete on other for each row execute function pgq.%I(''q'')', _f);
    execute format('create trigger by_hand after insert on other_statement referencing new table as new_rows for each statement execute function pgq.%I(''q'')', _s);
    execute format('create trigger by_hand_update after update on other_statement referencing old table as old_rows new table as new_rows for each statement execute function pgq.%I(''q'')', _s);
    execute format('create trigger by_hand_delete after delete on other_statement referencing old table as old_rows for each statement execute function pgq.%I(''q'')', _s);
    create trigger by_hand after insert or update or delete on other_generic for each row execute function pgq.logutriga('q');
    _code := array(select prosrc from pg_proc where proname in (_f, _s) order by proname);
    perform events();
    foreach _t in array '{other_generic,other,other_statement}'::text[] loop
        execute format('insert into %1$I values (''2024-02-01'', ''a&é'', 1.50), (''2024-02-02'', '''', null); update %1$I set n = n + 1; delete from %1$I where k = ''''', _t);
        _e := array(select replace(e, _t, 'other') from unnest(events()) with ordinality u (e, nr) order by nr);
        _expected := coalesce(_expected, _e);
        set local datestyle = german;     -- which generated code does not heed
        assert cardinality(_e) = 5 and _e = _expected, _t || _e::text || _expected::text;
    end loop;
    -- but for a changed key, which a generic trigger cannot log
    foreach _t in array '{other,other_statement}'::text[] loop
        execute format('update %I set k = ''b''', _t); _e := events();
        assert _e = array[format('D:k,d d=2024-02-01&k=a%%26%%c3%%a9&n=2.50 public.%s', _t), format('I:k,d d=2024-02-01&k=b&n=2.50 public.%s', _t)], _e::text;
    end loop;
    assert refused('update other_generic set k = ''b''') ~ 'primary key update not allowed', refused('update other_generic set k = ''b''');
    assert _code = array(select prosrc from pg_proc where proname in (_f, _s) order by proname);
    insert into by_row values (1, 'x'); insert into by_statement values (1, 'x'); _e := events();
    assert _e = '{I:id id=1&v=x public.by_row,I:id id=1&v=x public.by_statement}', _e::text;
end $$;
-- and everything that can be attached to a table, when it is captured by statement
revoke pgq_admin from owner_;
\set form statement
\ir hostile.psql
