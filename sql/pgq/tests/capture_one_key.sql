-- A key that is DEFERRABLE: what is logged never has two rows with one key at a time.
select pgq.create_queue('q');
\ir captured.psql
create table t (id int primary key deferrable initially deferred, v text); select pgq.capture_table('q', 't') = 'row' as ok \gset
create function inside(_sql text) returns int language plpgsql as $$ begin execute _sql; return 1; end $$;
create function violated(_sql text) returns text language plpgsql as $$
declare _state text; _constraint text; _hint text;
begin
    execute _sql;
    return 'accepted';
exception when others then
    get stacked diagnostics _state = returned_sqlstate, _constraint = constraint_name, _hint = pg_exception_hint;
    return concat_ws(' ', _state, _constraint, substring(_hint from 'Changes of table public.t are captured'));
end $$;
do $$ begin
    assert (select array_agg(tgname::text order by tgname) from pg_trigger where tgrelid = 't'::regclass and not tgisinternal)
           = '{!!_londiste_q,!_londiste_q,_londiste_q,_londiste_q_truncate,~_londiste_q}';
end $$;

-- what one row is changed to, in one transaction, is logged
begin; insert into t values (1, 'a'); update t set v = 'b' where id = 1; delete from t where id = 1; insert into t values (1, 'c'); commit;
do $$ declare _e text[] := events(); begin assert _e = '{I:id id=1&v=a,U:id id=1&v=b,D:id id=1&v=b,I:id id=1&v=c}', _e::text; end $$;
-- another row of the key must be gone when the statement ends, whatever SET CONSTRAINTS says
do $$ declare _sql text; begin
    foreach _sql in array array['insert into t values (1, ''new'')', 'insert into t values (2, ''x''), (2, ''y'')', 'with d as (delete from t where id = 9) insert into t values (1, ''z'')'] loop
        assert violated(_sql) = '23505 t_pkey Changes of table public.t are captured', violated(_sql);
        assert violated('set constraints all deferred; ' || _sql) = '23505 t_pkey Changes of table public.t are captured';
        assert violated('set constraints t_pkey immediate; ' || _sql) ~ '^23505 t_pkey';
    end loop;
    -- also where the mode is changed while the statement runs
    assert violated('insert into t values (1, ''new'') returning inside(''set constraints all deferred'')') = '23505 t_pkey Changes of table public.t are captured';
end $$;
do $$ declare _e text[] := events(); begin assert _e is null, _e::text; end $$;
-- in one statement
with d as (delete from t where id = 1 returning *) insert into t select id, 'moved' from d;
insert into t values (1, 'again') returning inside($$delete from t where v = 'moved'$$);
do $$ declare _e text[] := events(); begin
    assert _e = '{D:id id=1&v=c,I:id id=1&v=moved,D:id id=1&v=moved,I:id id=1&v=again}', _e::text;
end $$;
-- a BEFORE trigger may make room, what fires later comes too late
create function room() returns trigger language plpgsql as $$ begin delete from t where id = new.id and v <> new.v; return new; end $$;
create trigger room before insert on t for each row execute function room();
insert into t values (1, 'B'); insert into t values (2, 'x'), (3, 'y');
drop trigger room on t; create trigger "A" after insert on t for each row execute function room();
do $$ declare _e text[] := events(); begin
    assert _e = '{D:id id=1&v=again,I:id id=1&v=B,I:id id=2&v=x,I:id id=3&v=y}', _e::text;
    assert violated('insert into t values (1, ''A'')') = '23505 t_pkey Changes of table public.t are captured';
end $$;
drop trigger "A" on t;
-- keys that are equal and written otherwise
create table n (id numeric primary key deferrable initially deferred, v text); create table s (id timestamptz primary key deferrable initially deferred, v text);
select pgq.capture_table('q', 'n') = 'row' as ok, pgq.capture_table('q', 's') = 'row' as x \gset
insert into n values (1.0, 'old'); set timezone = utc; insert into s values ('2026-01-01 00:00+00', 'old');
do $$ begin
    assert violated('insert into n values (1.00, ''new'')') ~ '^23505 n_pkey';
    assert violated('set timezone = ''Asia/Tokyo''; insert into s values (''2026-01-01 09:00+09'', ''new'')') ~ '^23505 s_pkey';
    assert violated('alter table n rename to n2; insert into n2 values (1.00, ''new'')') ~ '^23505 n_pkey';
    perform events();
end $$;

-- A row that the statement around has inserted and not logged yet must not be changed: another may have its key.
create function own() returns trigger language plpgsql as $$ begin
    if new.v = 'U' then update t set v = 'UU' where v = 'U'; elsif new.v = 'D' then delete from t where v = 'D'; end if; return null;
end $$;
create trigger "A" after insert on t for each row execute function own();
do $$ declare _sql text; begin
    foreach _sql in array array['insert into t values (5, ''B'') returning inside(''delete from t where v = $x$B$x$'')', 'insert into t values (5, ''B'') returning inside(''update t set v = $x$C$x$ where id = 5'')',
                                'insert into t values (5, ''U'')', 'insert into t values (5, ''D'')', 'insert into t values (4, ''other''), (5, ''D'')'] loop
        assert refused(_sql) = '0A000 a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable', refused(_sql);
    end loop;
    -- logged or not, nothing tells
    insert into t values (6, 'F');
    assert refused('update t set v = ''G'' where id = 6') = '0A000 a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable';
    assert refused('insert into t values (7, ''x''), (7, ''x'')') ~ '^23505';
end $$;
drop trigger "A" on t;
-- rows of others, in functions
do $$ begin update t set v = 'G' where id = 6; insert into t values (5, 'D0'); end $$;
do $$ begin delete from t where id = 6; end $$;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=6&v=F,U:id id=6&v=G,I:id id=5&v=D0,D:id id=6&v=G}', _e::text;
end $$;

-- marked, the write goes on; a duplicate never does
do $$ begin
    set client_min_messages = error;
    perform pgq.capture_table('q', 't', 'capture_failure=mark');
    assert violated('insert into t values (5, ''dup'')') = '23505 t_pkey Changes of table public.t are captured';
    assert (select lost_since is null from pgq.capture where rel_name = 't');
    perform inside('insert into t values (7, ''B'') returning inside(''update t set v = $x$C$x$ where id = 7'')');
    assert (select lost_reason = 'a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable' from pgq.capture where rel_name = 't');
    assert (select v = 'C' from t where id = 7);
    perform pgq.capture_table('q', 't');
    perform events();
    reset client_min_messages;
end $$;

-- a key that becomes deferrable is followed, but for what needs the trigger
create table k (id int primary key, v text); select pgq.capture_table('q', 'k') = 'row' as ok \gset
insert into k values (1, 'a'); alter table k drop constraint k_pkey, add constraint "K key" primary key (id) deferrable;
do $$ begin
    assert refused('insert into k values (2, ''b'')') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended';
    update k set v = 'b';
    assert refused('insert into k values (2, ''b'')') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended';
    assert pgq.capture_table('q', 'k') = 'row';
end $$;
insert into k values (2, 'c');
alter table k disable trigger "!!_londiste_q";
do $$ begin
    assert refused('insert into k values (3, ''b'')') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended';
    assert pgq.capture_table('q', 'k') = 'row';
    assert refused('insert into k values (3, ''b''), (3, ''c'')') ~ '^23505';
end $$;
insert into k values (3, 'd');
-- altered in a transaction that may not write the code anew: a row of its own, inside of a statement, may be one that is not logged
begin isolation level repeatable read; alter table k add x int; update k set v = 'f' where id = 3; savepoint a;
do $$ begin
    assert refused('select inside(''update k set x = 1 where id = 3'')') = '0A000 a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable';
    perform inside('update k set x = 1 where id = 1');
end $$;
rollback to a; delete from k where id = 3; alter table k drop x; commit;
-- so where the code was written while the key was not deferrable
alter table k drop constraint "K key", add primary key (id); update k set v = 'g' where id = 1;
begin isolation level repeatable read; alter table k drop constraint k_pkey, add primary key (id) deferrable;
do $$ begin
    assert refused('insert into k values (5, ''x'') returning inside(''delete from k where id = 5'')') = '0A000 a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable';
    perform inside('update k set v = ''h'' where id = 1');
end $$;
commit;
-- back again: the trigger is taken off
alter table k drop constraint k_pkey, add primary key (id);
select pgq.capture_table('q', 'k') = 'row' as ok \gset
insert into k values (4, 'e');
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=1&v=a public.k,U:id id=1&v=b public.k,I:id id=2&v=c public.k,I:id id=3&v=d public.k,U:id id=3&v=f&x public.k,D:id id=3&v=f&x public.k,U:id id=1&v=g public.k,U:id id=1&v=h public.k,I:id id=4&v=e public.k}', _e::text;
    assert not exists (select from pg_trigger where tgrelid = 'k'::regclass and tgname ~ '^!!');
end $$;

-- pkey= over a deferrable constraint; of other constraints each has its own mode
create table p (id int primary key, a int, b int, c int, unique (b, a) deferrable initially deferred, unique (c) deferrable initially deferred);
select pgq.capture_table('q', 'p', 'pkey=a,b') = 'row' as ok \gset
insert into p values (1, 1, 1, 1);
do $$ begin assert refused('insert into p values (2, 1, 1, 2)') ~ '^23505 duplicate key value violates unique constraint "p_b_a_key"'; end $$;
begin; insert into p values (2, 2, 2, 1); update p set c = 2 where id = 2; commit;
do $$ declare _e text[] := events(); begin
    assert _e = array['I:a,b id=1&a=1&b=1&c=1 public.p', 'I:a,b id=2&a=2&b=2&c=1 public.p', 'U:a,b id=2&a=2&b=2&c=2 public.p'], _e::text;
end $$;

-- The check runs as the writer, also where that is a function's owner; nothing that others have deferred may have the constraint's name.
do $$ begin if to_regrole('one_key_owner') is null then create role one_key_owner; create role one_key_writer; end if; end $$;
create schema o authorization one_key_owner; grant usage on schema o to one_key_writer;
create table seen (who text); grant insert on seen to public;
set role one_key_owner;
create table o.d (id int primary key deferrable initially deferred); create table o.trap (id int); grant insert on o.d, o.trap to one_key_writer;
create function o.trap() returns trigger language plpgsql as $$ begin insert into public.seen values (current_user); return null; end $$;
grant create on schema o to one_key_writer; create function o.add(_id int) returns int language sql security definer as 'insert into o.d values (_id) returning id';
reset role;
select pgq.capture_table('q', 'o.d') = 'row' as ok \gset
set role one_key_writer; create table o.mine (id int); grant select, insert on o.mine to public;
create constraint trigger d_pkey after insert on o.mine deferrable initially deferred for each row execute function o.trap();
do $$ begin
    insert into o.mine values (1);
    assert public.refused('select o.add(1)') = '0A000 the deferrable key of table o.d cannot be checked: another constraint in schema o has its name, d_pkey', public.refused('select o.add(1)');
end $$;
drop trigger d_pkey on o.mine;
-- what is younger than the snapshot cannot be seen
begin isolation level repeatable read;
do $$ begin
    assert public.refused('select o.add(1)') = '0A000 the deferrable key of table o.d cannot be checked for another role in a transaction that is not READ COMMITTED', public.refused('select o.add(1)');
end $$;
rollback;
select o.add(1) = 1 as ok \gset
reset role; revoke usage on schema o from one_key_writer; revoke create on schema o from one_key_writer; create view through as select * from o.d; grant insert on through to one_key_writer;
set role one_key_writer;
do $$ begin
    assert refused('insert into through values (2)') = '42501 the deferrable key of table o.d cannot be checked: role one_key_writer may not use schema o', refused('insert into through values (2)');
end $$;
reset role;
do $$ begin assert (select array_agg(distinct who) from seen) = '{one_key_writer}', (select array_agg(who) from seen)::text; end $$;
set session_replication_role = local; begin; insert into o.d values (1); delete from o.d where ctid = (select min(ctid) from o.d); commit; reset session_replication_role;
do $$ declare _e text[] := events(); begin
    assert _e = '{I:id id=1 o.d}', _e::text;
    -- nothing is left behind
    assert pgq.uncapture_table('q', 'o.d') = 5; assert not exists (select from pg_trigger where tgrelid = 'o.d'::regclass and not tgisinternal);
end $$;
-- where nothing is checked, nothing is logged; a worker's changes are not
create table a (id int primary key deferrable); select pgq.capture_table('q', 'a') = 'row' as ok \gset
alter table a enable always trigger "!!_londiste_q"; alter table a enable always trigger _londiste_q; set session_replication_role = replica;
do $$ begin assert refused('insert into a values (1), (1)') = '0A000 the deferrable key of table public.a is not checked in sessions with session_replication_role = replica', refused('insert into a values (1), (1)'); end $$;
select set_config('skytools.apply_token', pgq.apply_token('q'), false) is null as x \gset
insert into a values (1); reset skytools.apply_token; reset session_replication_role;
do $$ begin assert events() is null; end $$;
-- of several pkey= the last counts
create table l (id int primary key, a int unique deferrable, b int unique); select pgq.capture_table('q', 'l', 'pkey=b', 'pkey=a') = 'row' as ok \gset
insert into l values (1, 1, 1); do $$ begin assert (select count(*) = 1 from pg_trigger where tgrelid = 'l'::regclass and tgname ~ '^!!') and events() = '{I:a id=1&a=1&b=1 public.l}'; end $$;

-- What checks the key must come before what logs: PostgreSQL's own triggers are called PK_... and Unique_...
create table f (id int primary key deferrable, v text);
do $$ begin
    assert refused('select pgq.capture_table(''q'', ''f'', ''trigger=A'')') ~ '^0A000 the trigger of table public.f cannot be named "A"', refused('select pgq.capture_table(''q'', ''f'', ''trigger=A'')');
    assert pgq.capture_table('q', 'f') = 'row';
end $$;
alter trigger _londiste_q on f rename to "!!!x";
do $$ begin assert refused('insert into f values (1)') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended'; end $$;
alter trigger "!!!x" on f rename to _londiste_q;
-- where capture fires for replicas, what checks has to do so
alter table f enable always trigger _londiste_q; set session_replication_role = replica;
do $$ begin assert refused('insert into f values (1)') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended'; end $$;
reset session_replication_role; drop table f;
-- of two queues, each has the key checked that is its own
select pgq.create_queue('q2') = 1 as x \gset
create table w (id int primary key, a int not null constraint wa unique, b int not null unique deferrable initially deferred);
select pgq.capture_table('q', 'w', 'pkey=a') = 'row' as ok, pgq.capture_table('q2', 'w', 'pkey=b') = 'row' as x \gset
insert into w values (1, 1, 1); alter table w drop constraint wa, add constraint wa unique (a) deferrable initially deferred;
do $$ begin
    assert refused('insert into w values (2, 1, 2)') = '55000 the key of this table is deferrable, and no trigger has it checked when a statement has ended', refused('insert into w values (2, 1, 2)');
    assert pgq.capture_table('q', 'w', 'pkey=a') = 'row';
    assert refused('insert into w values (2, 1, 2)') ~ '^23505';
end $$;
insert into w values (2, 2, 2);
-- where updates are not captured they draw numbers of inserts all the same
create table i (id int primary key deferrable initially deferred, v text); select pgq.capture_table('q', 'i', 'tgflags=ID') = 'row' as ok \gset
create function over(_v text) returns int language plpgsql as $$ begin update i set v = v || 'x' where v = _v; delete from i where v = 'old'; return 1; end $$;
insert into i values (1, 'old');
do $$ begin
    assert refused('insert into i values (1, ''new'') returning over(''new'')') = '0A000 a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable';
    perform events();
end $$;
-- an exclusion constraint alone
create table ex (id int, v text, exclude (id with =) deferrable initially deferred); select pgq.capture_table('q', 'ex', 'pkey=id') = 'row' as ok \gset
insert into ex values (1, 'old');
do $$ begin assert refused('insert into ex values (1, ''new'')') ~ '^23P01' and refused('update ex set id = 2') ~ '^0A000 primary key update not allowed'; end $$;
-- a key that includes other columns is these alone
create table c (id int, b int unique, primary key (id) include (b) deferrable); select pgq.capture_table('q', 'c') = 'row' as ok \gset
insert into c values (1, 1); do $$ begin assert refused('insert into c values (1, 2)') ~ '^23505'; end $$;
-- a temporary table is not for us
create temporary table temp (id int primary key);
do $$ begin assert refused('select pgq.capture_table(''q'', ''pg_temp.temp'')') ~ '^0A000 table pg_temp.temp is temporary'; end $$;
