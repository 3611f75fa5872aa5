-- Every built-in type that can be a column, with awkward values, through each generic trigger.
-- A type of pg_type that is missing from the list fails the script, so a new server version is noticed.
create schema d;
create type d.mood as enum ('sad', 'so so', 'happy "!"');
create type d.pair as (a int, b text);
create type d.nojson as (a int, j json);
create domain d.dint as int;
create domain d.dtext as text;
create domain d.dchar as char(5);
create domain d.dbool as bool;
create domain d.darr as int[];
create domain d.denum as d.mood;
create domain d.dpair as d.pair;
create domain d.djson as json;
create domain d.ddint as d.dint check (value > -100000);
create type d.frange as range (subtype = float8);
create table d.samples (type text, vals text[]);
insert into d.samples values
('bool', '{t,f}'), ('"char"', array['a', '', ' ', '%', chr(92)]),
('name', array['n', 'with space', 'ünï', '']),
('text', array['plain', '', ' ', 'a b+c%d&e=f', E'tab\tnl\ncr\rbs\\ q''" ', E'\x01\x02\x1f\x7f', 'čšž€😀', E'\u2028', '~*-_.!()/', 'null', '{}', '"', '""', E'\\', E'\\\\', repeat('ü ', 400), 'a,b', '(x)', E'\b\f']),
('varchar', array['v', '', E'x\x01y', '日本語']), ('varchar(7)', array['abc', 'a''b']),
('char(5)', array['ab', '', 'abcde']), ('char', array['x', '']), ('citextish', '{}'),
('bytea', array['\x', '\x00ff01', '\x5c27']),
('int2', '{0,-32768,32767}'), ('int4', '{0,-2147483648,5}'), ('int8', '{0,9223372036854775807,-1}'), ('oid', '{0,4294967295}'),
('numeric', '{0,1.0,1.00,-1e-20,123456789012345678901234567890.123,NaN,Infinity,-Infinity}'), ('numeric(8,2)', '{1,-0.5}'),
('float4', '{0,-0,1.5,1e30,NaN,Infinity,-Infinity,1e-20}'), ('float8', '{0,-0,0.1,1e300,3.141592653589793,NaN,Infinity,-Infinity}'),
('money', array['1', '-1234567.89']),
('date', '{2009-09-19,0044-03-15 BC,infinity,-infinity,99999-01-01}'),
('time', '{00:00,24:00:00,11:59:48.599}'), ('timetz', '{11:59:48.5+02,00:00-12:30}'), ('time(0)', '{01:02:03.9}'),
('timestamp', array['2009-09-19 11:59:48.599', '0044-03-15 10:00:00 BC', 'infinity', '-infinity', '294276-12-31 23:59:59.999999']),
('timestamptz', array['2009-09-19 11:59:48.599+02', '0044-03-15 10:00:00+00 BC', 'infinity', '-infinity', '1900-01-01 00:00']),
('timestamptz(2)', array['2009-09-19 11:59:48.599+02']),
('interval', array['2 min', '-1 year 3 days 00:00:01.5', '0', '1 day', '24:00:00']),
('uuid', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'),
('bit(3)', '{101,000}'), ('bit', '{1}'), ('varbit', '{1010,""}'),
('inet', '{10.0.0.1,10.0.0.1/8,::1}'), ('cidr', '{10.0.0.0/8,10.0.0.1/32}'), ('macaddr', '{08:00:2b:01:02:03}'), ('macaddr8', '{08:00:2b:01:02:03:04:05}'),
('json', array['{"a": 1}', '"x"', 'null', ' [1,  2] ']), ('jsonb', array['{"b": 1, "a": "ü\u0001"}', '1.0', '1.00', 'null']),
('jsonpath', array['$.a[*] ? (@ > 1)', 'strict $']),
('xml', array['<a b="c">t</a>', 'text']),
('point', array['(1,2.5)', '(NaN,Infinity)']), ('line', '{"{1,2,3}"}'), ('lseg', array['[(0,0),(1,1)]']), ('box', array['(1,1),(0,0)']),
('path', array['((0,0),(1,1))', '[(0,0),(1,1)]']), ('polygon', array['((0,0),(1,1),(2,0))']), ('circle', array['<(0,0),1>']),
('tsvector', array['''a'':1A ''b''''c'':2', '']), ('tsquery', array['a & !b', '''x y'' | z']),
('int4range', array['[1,5)', 'empty', '(,)']), ('int8range', array['[1,5]']), ('numrange', array['[1.0,2.00)', '[1,2)']),
('daterange', array['[2020-01-01,2020-02-01)', '[,infinity]']), ('tsrange', array['["2020-01-01 00:00",)']), ('tstzrange', array['["2020-01-01 00:00+00",]']),
('int4multirange', array['{[1,2),[5,6)}', '{}']), ('int8multirange', array['{[1,2)}']), ('nummultirange', array['{[1.5,2]}']),
('datemultirange', array['{[2020-01-01,2020-02-01)}']), ('tsmultirange', array['{["2020-01-01 00:00",)}']), ('tstzmultirange', array['{}']),
('d.frange', array['[0.5,1)', 'empty']),
('pg_lsn', '{0/0,16/B374D848}'), ('txid_snapshot', array['10:20:10,14,15']), ('pg_snapshot', array['10:20:']), ('xid', '{0,4294967295}'), ('xid8', '{0,18446744073709551615}'), ('cid', '{7}'), ('tid', array['(0,1)']),
('regproc', '{now,-}'), ('regprocedure', array['abs(int4)']), ('regoper', array['pg_catalog.||/']), ('regoperator', array['*(int4,int4)']), ('regclass', '{pg_class,d.samples,-}'), ('regtype', array['int4', 'd.mood', 'character varying']),
('regrole', '{postgres}'), ('regnamespace', '{d,pg_catalog}'), ('regconfig', '{english}'), ('regdictionary', '{simple}'), ('regcollation', array['"C"']),
('int2vector', array['1 2 3', '']), ('oidvector', array['1 2']), ('aclitem', array['postgres=r/postgres']), ('refcursor', array['c 1']), ('gtsvector', '{}'),
('int4[]', array['{1,2}', '{}', '{NULL,3}', '{{1,2},{3,4}}', '[0:1]={5,6}']), ('text[]', array['{a,"b c",NULL,"NULL","q\"uote","back\\slash",""}']),
('numeric[]', array['{1.0}', '{1.00}']), ('timestamptz[]', array['{"2020-01-01 00:00+00"}']), ('json[]', array[E'{"{\\"a\\": 1}"}']), ('d.pair[]', array[E'{"(1,x)"}']), ('d.mood[]', array['{sad,"so so"}']), ('bool[]', '{"{t,f}"}'), ('name[]', '{"{a}"}'), ('"char"[]', '{"{a}"}'),
('d.mood', array['sad', 'so so', 'happy "!"']), ('d.pair', array['(1,x)', '(,)', '(,"")', '(2,"a,b ""q"" \\")']), ('d.nojson', array[E'(1,"{""a"": 1}")']),
('d.dint', '{1,2}'), ('d.dtext', array['a b', '']), ('d.dchar', array['ab']), ('d.dbool', '{t,f}'), ('d.darr', array['{1,2}']), ('d.denum', '{sad}'), ('d.dpair', array['(1,x)']), ('d.djson', array['{"a":1}']), ('d.ddint', '{7}');
delete from d.samples where type in ('citextish', 'gtsvector');

do $$
declare
    _missing text;
begin
    select string_agg(t.typname, ' ' order by 1) into _missing
      from pg_type t
     where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm', 'e')
       and t.typname not in ('gtsvector', 'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary',
                             'pg_brin_minmax_multi_summary')
       and t.typcategory <> 'A'
       and not exists (select 1 from d.samples s where to_regtype(s.type) = t.oid);
    if _missing is not null then
        raise exception 'types without samples: %', _missing;
    end if;
end;
$$;

select pgq.create_queue('types');
do $$
declare
    _s record;
    _v text;
    _nr int := 0;
    _tbl text;
begin
    for _s in select type, vals from d.samples order by type loop
        _nr := _nr + 1;
        _tbl := 'd.t' || _nr;
        execute format('create table %s (id int primary key, v %s, "Odd name" int)', _tbl, _s.type);
        execute format('create trigger a_lu after insert or update or delete on %s for each row execute function pgq.logutriga(''types'', ''backup'')', _tbl);
        execute format('create trigger b_sq after insert or update or delete on %s for each row execute function pgq.sqltriga(''types'')', _tbl);
        execute format('create trigger c_js after insert or update or delete on %s for each row execute function pgq.jsontriga(''types'', ''backup'')', _tbl);
        execute format('create trigger d_lu after insert or update or delete on %s for each row execute function pgq.logutriga(''types'')', _tbl);
        execute format('create trigger e_tr after truncate on %s for each statement execute function pgq.logutriga(''types'')', _tbl);
        execute format('insert into %s values (0, null, 7)', _tbl);
        foreach _v in array _s.vals loop
            execute format('insert into %s values (1, %L, null)', _tbl, _v);
            execute format('update %s set "Odd name" = 4 where id = 1', _tbl);
            execute format('update %s set v = v where id = 1', _tbl);
            execute format('update %s set v = %L where id = 0', _tbl, _v);
            execute format('update %s set v = null where id = 1', _tbl);
            execute format('update %s set v = %L where id = 1', _tbl, _v);
            execute format('delete from %s where id = 1', _tbl);
        end loop;
        execute format('delete from %s', _tbl);
        execute format('truncate %s', _tbl);
    end loop;
end;
$$;
select ev_id, ev_extra1, ev_type, ev_data, ev_extra2 from pgq.event_1 order by ev_id;

-- Types that can be a key: the key in each format, and whether equal values of different text change it.
do $$
declare
    _s record;
    _v text;
    _w text;
    _nr int := 0;
    _tbl text;
begin
    for _s in select type, vals from d.samples order by type loop
        _nr := _nr + 1;
        _tbl := 'd.k' || _nr;
        execute format('create table %s (v %s, x int, w %s)', _tbl, _s.type, _s.type);
        execute format('create trigger a_lu after insert or update or delete on %s for each row execute function pgq.logutriga(''types'', ''pkey=v'')', _tbl);
        execute format('create trigger b_sq after insert or update or delete on %s for each row execute function pgq.sqltriga(''types'', ''pkey=v'')', _tbl);
        execute format('create trigger c_ig after insert or update or delete on %s for each row execute function pgq.jsontriga(''types'', ''pkey=v'', ''ignore=w'')', _tbl);
        foreach _v in array _s.vals loop
            foreach _w in array _s.vals loop
                begin
                    execute format('insert into %s values (%L, 1, %L)', _tbl, _v, _v);
                    execute format('update %s set w = %L', _tbl, _w);
                    execute format('update %s set v = %L', _tbl, _w);
                    execute format('delete from %s', _tbl);
                exception when others then
                    perform pgq.insert_event('types', 'error', sqlerrm, _tbl, _s.type, _v, _w);
                end;
            end loop;
        end loop;
    end loop;
end;
$$;
select ev_extra1, ev_type, ev_data, ev_extra2, ev_extra3, ev_extra4 from pgq.event_1 where ev_extra1 like 'd.k%' order by ev_id;
