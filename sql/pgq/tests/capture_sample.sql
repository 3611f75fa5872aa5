-- Capture learns from a table's events which characters its texts consist of, and writes the same events whatever it has learnt.
select pgq.create_queue('q');
\ir captured.psql

-- What was learnt about table t, in the order of the alphabet, and how many rows were looked at.
create function learnt() returns text language sql as $$
    select concat_ws(' ', sampled, (select string_agg(c, '' order by c collate "C") from string_to_table(chars, null) c)) from pgq.capture where rel_name = 't';
$$;
-- Whether capture and the generic trigger write the same for texts with every character there is, alone and among others.
create function same() returns boolean language plpgsql as $$
declare _g text[]; _r text[];
begin
    truncate pgq.event_1_0;
    create trigger generic after insert or update or delete on t for each row execute function pgq.logutriga('q', 'ev_extra1=''g''');
    insert into t (a, b)
        select 'x' || c || 'y', format('%s{%s}%s', c, c, lead(c) over (order by c)) from (
            select chr(n) from generate_series(1, 1500) n union all select unnest('{日本,"€ 5",😀,a&b=c%2b+d,"","\\x41"}'::text[])) u (c);
    update t set b = a || b; delete from t where length(a) = 3 and ascii(substr(a, 2)) % 7 = 0;
    drop trigger generic on t;
    select array_agg(ev_type || ev_data order by ev_id) filter (where ev_extra1 = 'g'), array_agg(ev_type || ev_data order by ev_id) filter (where ev_extra1 <> 'g')
      into _g, _r from pgq.event_1;
    truncate pgq.event_1_0; truncate t;
    if cardinality(_g) > 3000 and _g = _r then
        return true;
    end if;
    raise exception 'generic: %, generated: %', (select array_agg(x) from (select unnest(_g) x except select unnest(_r) limit 9) e),
                                                (select array_agg(x) from (select unnest(_r) x except select unnest(_g) limit 9) e);
end $$;

-- nothing to learn from
create table t (id serial primary key, a text not null, b text, j jsonb);
select pgq.capture_table('q', 't') = 'row' as ok \gset
do $$ begin assert learnt() = '0', learnt(); assert same(); end $$;

-- names and addresses, in each of the forms
do $$
declare _form text; _code text;
begin
    insert into t (a, b, j) select 'Tõnu Õun ' || n, 'Mägi & Pojad=1, 100%', '{"k": ["ä"]}' from generate_series(1, 1500) n;
    foreach _form in array '{row,statement}'::text[] loop
        perform pgq.capture_table('q', 't', 'form=' || _form);
        -- one character in fewer than fifty rows is none of them
        assert learnt() = '1000 "%&:=[]{}Õäõ', learnt();
        select prosrc into _code from pg_proc where proname = '_capture_1';
        assert strpos(_code, 'E''õ'', ''%c3%b5''') > 0, _code;
    end loop;
    truncate pgq.event_1_0;
    assert same();
    insert into t (a) select 'Tõnu ' || n from generate_series(1, 2000) n;
    perform pgq.capture_table('q', 't');
    assert learnt() = '1000 õ', learnt();
    assert same();
end $$;

-- characters that mean something in a list of a regular expression, or in a string
do $$
begin
    insert into t (a, b) select E'\\^-[]|.*', E'line\nof''\ttext' || '$1 %s #<>' from generate_series(1, 100) n;
    assert pgq.refresh_capture('q', 'public.t') = 1;
    assert learnt() = E'100 \t\n#$%''*<>[\\]^|', learnt();
    assert same();
    set local standard_conforming_strings = off; set local escape_string_warning = off;
    insert into t (a, b) values (E'\\^-[]|.*', E'line\nof''\ttext');
    assert (select ev_data from pgq.event_1 where ev_extra1 = 'public.t' order by ev_id desc limit 1)
           like 'id=%&a=%5c%5e-%5b%5d%7c.%2a&b=line%0aof%27%09text&j', (select array_agg(ev_data) from pgq.event_1);
end $$;

-- too many to be of use; others than these are in too few rows
truncate t; truncate pgq.event_1_0;
insert into t (a) select string_agg(chr(19968 + (n * 7 + m * m * 31) % 4000), '') from generate_series(1, 400) n, generate_series(1, 10) m group by n;
insert into t (a) select 'plain' from generate_series(1, 600);
insert into t (a) values ('ö');
select pgq.refresh_capture() = 1 as ok \gset
do $$ begin assert learnt() = '1000', learnt(); assert same(); end $$;

-- large values are not looked at
insert into t (a) select repeat('ö', 30000) from generate_series(1, 20); select pgq.refresh_capture() = 1 as ok \gset
do $$ begin assert learnt() = '0', learnt(); end $$;

-- maintenance does it when the queue has a thousand events more, until it has found a thousand of the table
create view due as select func_arg from pgq.maint_operations() where func_name = 'pgq.maint_sample_capture';
select pgq.uncapture_table('q', 't') = 4 as ok, pgq.create_queue('m') = 1 as ok \gset
truncate t; select pgq.capture_table('m', 't') = 'row' as ok \gset
create table other (id serial primary key, v text); select pgq.capture_table('m', 'other') = 'row' as ok \gset
insert into t (a) select 'Üle ' || n from generate_series(1, 600) n; insert into other (v) select 'õ ' || n from generate_series(1, 398) n;
do $$ begin assert learnt() = '0', learnt(); assert not exists (select from due); end $$;
insert into t (a) select 'Üle ' || n from generate_series(601, 602) n;
do $$ begin
    assert (select count(*) from due) = 2 and (select sum(pgq.maint_sample_capture(func_arg)) from due) = 0;
    assert learnt() = '602 Ü' and (select sampled || chars from pgq.capture where rel_name = 'other') = '398õ', learnt();
    assert not exists (select from due) and pgq.maint_sample_capture('_capture_0') = 0;
end $$;
insert into t (a) select 'Ülo ' || n from generate_series(1, 1000) n;
do $$ begin
    assert (select count(*) from due) = 2 and (select sum(pgq.maint_sample_capture(func_arg)) from due) = 0;
    assert learnt() = '1000 Ü' and (select sample_due is null from pgq.capture where rel_name = 't'), learnt();
end $$;

-- nothing is looked at where there is no quick way
alter table t add p point; select pgq.refresh_capture() = 2 as ok \gset
do $$ begin assert learnt() = '-1' and (select sample_due is null from pgq.capture where rel_name = 't'), learnt(); end $$;
alter table t drop p; select pgq.refresh_capture() = 2 as ok \gset
do $$ begin assert learnt() = '1000 Ü', learnt(); end $$;

-- in a queue that has had many events before, too
select pgq.create_queue('busy') = 1 as ok \gset
select setval((select queue_event_seq from pgq.queue where queue_name = 'busy')::regclass, 10000000) = 10000000 as ok \gset
create table young (id serial primary key, v text); select pgq.capture_table('busy', 'young') = 'row' as ok \gset
create function looks() returns int8 language sql as $$ select sum(1 + pgq.maint_sample_capture(c.function_name)) from pgq.capture c join due on func_arg = c.function_name where c.rel_name = 'young' $$;
insert into young (v) select 'Ü ' || n from generate_series(1, 900) n;
do $$ begin assert looks() is null; end $$;
insert into young (v) select 'Ü ' || n from generate_series(1, 90) n; select pgq.insert_event('busy', 't', '') is not null as ok from generate_series(1, 20) offset 19 \gset
do $$ begin
    assert looks() = 1;
    assert (select sampled || chars || (sample_due - sample_from) from pgq.capture where rel_name = 'young') = '990Ü2010', (select c::text from pgq.capture c where rel_name = 'young');
end $$;
select pgq.insert_event('busy', 't', '') is not null as ok from generate_series(1, 4000) offset 3999 \gset
do $$ begin
    -- 5010 since the first look
    assert looks() = 1;
    assert (select sample_due - 10000000 from pgq.capture where rel_name = 'young') = 5010 + 2505, (select c::text from pgq.capture c where rel_name = 'young');
end $$;
