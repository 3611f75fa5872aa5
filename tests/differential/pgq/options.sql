-- Options, magic columns, error texts and returned rows of the generic triggers.
select pgq.create_queue('o');
create or replace function show() returns table (t text, d text, e1 text, e2 text, e3 text, e4 text) language plpgsql as $$
begin
    return query select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.event_1 order by ev_id;
    truncate pgq.event_1_0;
end; $$;
-- one table, one trigger each time
create or replace procedure try(kind text, args text, cols text, variadic stmts text[]) language plpgsql as $$
declare s text;
begin
    raise notice '---- % (%) on (%)', kind, args, cols;
    execute 'drop table if exists opt';
    execute format('create table opt (%s)', cols);
    execute format('create trigger x after insert or update or delete on opt for each row execute function pgq.%s(%s)', kind, args);
    foreach s in array stmts loop
        begin
            execute s;
        exception when others then
            raise notice '%: %', s, sqlerrm;
        end;
    end loop;
end; $$;
create or replace procedure all_kinds(args text, cols text, variadic stmts text[]) language plpgsql as $$
begin
    call try('logutriga', args, cols, variadic stmts);
    call try('sqltriga', args, cols, variadic stmts);
    call try('jsontriga', args, cols, variadic stmts);
end; $$;
create or replace procedure std(args text, cols text default 'id int primary key, col1 text, col2 text') language plpgsql as $$
begin
    call all_kinds(args, cols, 'insert into opt values (1, ''a'', ''b'')', 'update opt set col1 = ''z''', 'update opt set col2 = ''z''',
         'update opt set id = id', 'update opt set col1 = null, col2 = ''''', 'update opt set id = 2', 'delete from opt');
end; $$;
call std(''); select * from show();
call std($$'o'$$); select * from show();
call std($$'nosuchqueue'$$); select * from show();
call std($$'o', 'bogus'$$); select * from show();
call std($$'o', 'skip'$$); select * from show();
call std($$'o', 'Ignore=a'$$);
call std($$'o', 'evtype=a'$$);
call std($$'o', 'ev_extra5=a'$$);
call std($$'o', 'SKIP'$$); select * from show();
call std($$'o', 'deny'$$); select * from show();
call std($$'nosuchqueue', 'deny'$$); select * from show();
call std($$'o', 'deny', 'when=false'$$); select * from show();
call std($$'o', 'backup'$$); select * from show();
call std($$'o', 'ignore=col2'$$); select * from show();
call std($$'o', 'ignore=col2', 'backup'$$); select * from show();
call std($$'o', 'ignore=col1,col2'$$); select * from show();
call std($$'o', 'ignore= col1 , col2 '$$); select * from show();
call std($$'o', 'ignore=id'$$); select * from show();
call std($$'o', 'ignore=nosuch'$$); select * from show();
call std($$'o', 'ignore='$$); select * from show();
call std($$'o', 'ignore=col1', 'ignore=col2'$$); select * from show();
call std($$'o', 'ignore=id,col1,col2'$$); select * from show();
call std($$'o', 'pkey=col1'$$); select * from show();
call std($$'o', 'pkey=col2,col1'$$); select * from show();
call std($$'o', 'pkey=col1, col2'$$); select * from show();
call std($$'o', 'pkey=nosuch'$$); select * from show();
call std($$'o', 'pkey='$$); select * from show();
call std($$'o', 'pkey=col1', 'pkey=col2'$$); select * from show();
call std($$'o'$$, 'id int, col1 text, col2 text'); select * from show();
call std($$'o', 'deny'$$, 'id int, col1 text, col2 text'); select * from show();
call std($$'o', 'pkey=id'$$, 'id int, col1 text, col2 text'); select * from show();
call std($$'o', 'pkey=id', 'ignore=id'$$, 'id int, col1 text, col2 text'); select * from show();
call std($$'o'$$, 'id int, col1 text, col2 text, primary key (col2, id)'); select * from show();
call std($$'o'$$, 'id int primary key deferrable initially deferred, col1 text, col2 text'); select * from show();
call std($$'o'$$, 'id int unique not null, col1 text, col2 text'); select * from show();
call std($a$'o', 'ev_type=''X''', 'ev_extra1=col1', 'ev_extra2=col2||id', 'ev_extra3=$$dollar$$', 'ev_extra4=null'$a$);
select * from show();
call std($a$'o', 'ev_extra3=$x$dol$$lar$x$||col1'$a$); select * from show();
call std($$'o', 'ev_data=col1'$$); select * from show();
call std($$'o', 'ev_extra2=id', 'backup'$$); select * from show();
call std($$'o', 'ev_extra3=col1', 'ev_extra3=col2'$$); select * from show();
call std($$'o', 'ev_type='$$); select * from show();
call std($$'o', 'ev_type= '$$); select * from show();
call std($$'o', 'ev_extra3=lower(upper(col1)) || id::text'$$); select * from show();
call std($$'o', 'ev_extra3=id + 1 - -1'$$); select * from show();
call std($$'o', 'ev_extra3=(select count(*) from pg_class where relname = col1)'$$); select * from show();
call std($$'o', 'ev_extra3=''col1''''id'' || col1'$$); select * from show();
call std($$'o', 'ev_extra3=E''x\ty'' || col1'$$); select * from show();
call std($$'o', 'ev_extra3=true'$$); select * from show();
call std($$'o', 'ev_extra3=id = 1'$$); select * from show();
call std($$'o', 'ev_extra3=array[id, 2]'$$); select * from show();
call std($$'o', 'ev_extra3=1, 2'$$); select * from show();
call std($$'o', 'ev_extra3=generate_series(1,2)'$$); select * from show();
call std($$'o', 'ev_extra3=1 where id = 5'$$); select * from show();
call std($$'o', 'ev_extra3=nosuchcol'$$);
call std($$'o', 'when=id = 1'$$); select * from show();
call std($$'o', 'when=false'$$); select * from show();
call std($$'o', 'when=null::bool'$$); select * from show();
call std($$'o', 'when=1'$$); select * from show();
call std($$'o', 'when='$$);
call std($$'o', 'when=''t'''$$); select * from show();
call std($$'o', 'when=col1 = ''z'''$$); select * from show();
call std($$'o', 'when=true', 'when=false'$$); select * from show();
call std($$'o'$$, 'id int primary key, col1 text, col2 text, _pgq_ev_type text default ''mt'', _pgq_ev_extra1 int default 7, _pgq_ev_extra4 text'); select * from show();
call std($$'o', 'ev_extra1=''arg'''$$, 'id int primary key, col1 text, col2 text, _pgq_ev_data text default ''md'', _pgq_ev_extra1 int default 7'); select * from show();
call std($$'o', 'backup', 'ignore=col1'$$, 'id int primary key, col1 text, col2 text, _pgq_ev_extra2 text default ''x''');  select * from show();
call std($$'o'$$, 'id int primary key, col1 text, col2 text, _pgq_ev_bad text'); select * from show();
call all_kinds($$'o'$$, 'id int primary key, _pgq_ev_extra3 text', 'insert into opt values (1, ''a'')', 'update opt set _pgq_ev_extra3 = ''b''', 'delete from opt'); select * from show();
call std($$'o'$$, 'id int primary key, col1 text, col2 text, g int generated always as (id * 2) stored'); select * from show();
call all_kinds($$'o', 'ev_extra3=Id', 'ev_extra4=order'$$, '"Id" int primary key, "order" text, "a b&=%""" text', 'insert into opt values (1, ''o'', ''ü'')', 'update opt set "order" = ''p''', 'update opt set "a b&=%""" = null', 'delete from opt'); select * from show();

-- dropped columns, altered tables
drop table opt;
create table opt (a int, id int primary key, b text, c text);
alter table opt drop column a;
create trigger l after insert or update or delete on opt for each row execute function pgq.logutriga('o');
create trigger s after insert or update or delete on opt for each row execute function pgq.sqltriga('o');
create trigger j after insert or update or delete on opt for each row execute function pgq.jsontriga('o');
insert into opt values (1, 'x', 'y'); update opt set b = 'q';
alter table opt add column d int default 5;
update opt set b = 'r'; insert into opt values (2, 'x', 'y');
alter table opt rename column b to b2;
update opt set b2 = 's'; insert into opt values (3, 'x', 'y');
alter table opt drop column c;
update opt set b2 = 't'; insert into opt values (4, 'x');
alter table opt alter column d type text;
update opt set b2 = 'u', d = 'a b'; insert into opt values (5, 'x', 'a&b');
alter table opt alter column d drop default;
alter table opt alter column d type boolean using true;
update opt set b2 = 'v'; insert into opt values (6, 'x', false);
alter table opt drop constraint opt_pkey; alter table opt add primary key (id, b2);
update opt set d = false; delete from opt where id = 4;
alter table opt rename to opt2;
update opt2 set d = null where id = 3;
create schema "other ""s"; alter table opt2 set schema "other ""s";
delete from "other ""s".opt2 where id = 3;
alter table "other ""s".opt2 drop constraint opt_pkey;
insert into "other ""s".opt2 values (9, 'nine', true);
update "other ""s".opt2 set d = null;
select * from show();
create table opt (id int primary key, v timestamp);
create trigger l after insert or update or delete on opt for each row execute function pgq.logutriga('o');
create trigger j after insert or update or delete on opt for each row execute function pgq.jsontriga('o');
insert into opt values (1, '2020-01-02 03:04:05'); update opt set v = v;
alter table opt alter column v type date; update opt set v = v;
alter table opt alter column v type time using '01:02'; update opt set v = v;
alter table opt alter column v type interval; update opt set v = v;
alter table opt alter column v type int using 5; update opt set v = v;
alter table opt alter column v type oid using 5; update opt set v = v;
alter table opt alter column v type regtype using 'int4'; update opt set v = v;
alter table opt alter column v type char(9); update opt set v = v;
alter table opt alter column v type text; update opt set v = v;
select * from show();

-- role of the session
begin; set local session_replication_role = local; insert into opt values (100, 'x'); update opt set id = 101 where id = 100; commit;
begin; set local session_replication_role = replica; insert into opt values (102, 'x'); commit;
alter table opt enable always trigger l;
begin; set local session_replication_role = replica; insert into opt values (103, 'x'); commit;
select * from show();
select count(*) from opt;

-- before triggers and SKIP
drop table opt;
create table opt (id int primary key, v text);
create trigger b before insert or update or delete on opt for each row execute function pgq.logutriga('o');
insert into opt values (1, 'a'); update opt set v = 'b'; select * from opt; delete from opt; select * from opt; select * from show();
drop trigger b on opt;
insert into opt values (1, 'a');
create trigger b before insert or update or delete on opt for each row execute function pgq.logutriga('o', 'SKIP');
insert into opt values (2, 'a'); update opt set v = 'b'; delete from opt; select * from opt; select * from show();
begin; set local session_replication_role = local; insert into opt values (3, 'x'); commit;
drop trigger b on opt;
create trigger b before insert or update or delete on opt for each row execute function pgq.sqltriga('o', 'SKIP', 'when=id = 1', 'ignore=v');
insert into opt values (4, 'a'); update opt set v = 'b'; select * from opt order by id; delete from opt; select * from opt order by id; select * from show();
drop trigger b on opt;
create trigger b before insert or update or delete on opt for each row execute function pgq.sqltriga('o', 'when=false', 'ignore=v');
insert into opt values (5, 'a'); update opt set v = 'b'; select * from opt order by id; delete from opt; select * from opt order by id; select * from show();

-- truncate
drop table opt; create table opt (id int primary key, v text);
create or replace procedure trunc(kind text, args text, whence text default 'after') language plpgsql as $$
begin
    execute 'drop trigger if exists t on opt';
    execute format('create trigger t %s truncate on opt for each statement execute function pgq.%s(%s)', whence, kind, args);
    truncate opt;
exception when others then raise notice '% %: %', kind, args, sqlerrm;
end; $$;
do $d$
declare k text; a text; w text;
begin
    foreach k in array array['logutriga', 'sqltriga', 'jsontriga'] loop
        foreach w in array array['after', 'before'] loop
            foreach a in array array[$q$'o'$q$, $q$$q$, $q$'o','deny'$q$, $q$'o','SKIP'$q$, $q$'o','backup'$q$, $q$'o','ignore=v'$q$, $q$'o','pkey=v'$q$, $q$'o','ev_type=1'$q$,
                $q$'o','when=true'$q$, $q$'o','ev_extra2=''x'''$q$, $q$'o','ignore='$q$, $q$'o','deny','backup'$q$, $q$'o','bad'$q$] loop
                call trunc(k, a, w);
            end loop;
        end loop;
    end loop;
end $d$;
select * from show();
drop table opt; create table opt (id int, v text);
call trunc('logutriga', $$'o'$$); call trunc('jsontriga', $$'o'$$); select * from show();

-- levels and events
create trigger st after insert on opt for each statement execute function pgq.logutriga('o');
insert into opt values (1);
drop table opt; create table opt (id int primary key, v text) partition by range (id);
create table opt_1 partition of opt for values from (0) to (10);
create trigger l after insert or update or delete on opt for each row execute function pgq.logutriga('o');
create trigger j after insert or update or delete on opt for each row execute function pgq.jsontriga('o');
insert into opt values (1, 'x'); update opt set v = 'y'; delete from opt; select * from show();
create view vw as select 1 as id, 'x'::text as v;
create trigger l instead of insert or update or delete on vw for each row execute function pgq.logutriga('o', 'pkey=id');
insert into vw values (1, 'x'); update vw set v = 'y'; delete from vw; select * from show();

-- settings of the writing session
create table st (id int primary key, ts timestamptz, d date, i interval, f float8, b bytea);
create trigger l after insert or update or delete on st for each row execute function pgq.logutriga('o');
create trigger s after insert or update or delete on st for each row execute function pgq.sqltriga('o');
create trigger j after insert or update or delete on st for each row execute function pgq.jsontriga('o');
set datestyle = 'sql, dmy'; set intervalstyle = iso_8601; set extra_float_digits = -5; set bytea_output = escape; set timezone = 'Asia/Tokyo'; set standard_conforming_strings = off;
insert into st values (1, '2020-02-01 10:00+00', '2020-02-01', '1 year 2 days', 1.23456789012345, E'\\x00ff5c27');
update st set f = 1.23456789012346;
reset all; set client_min_messages = notice;
delete from st; select * from show();
