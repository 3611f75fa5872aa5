-- Name helpers, catalog look-ups, odd names and SQL in every argument.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
select pg_temp.rows($$ select londiste.make_fqname('a'), londiste.make_fqname(''), londiste.make_fqname('a.b.c'), londiste.make_fqname(null) $$, '(public.a,public.,a.b.c,)');
select pg_temp.rows($$ select londiste.quote_fqname('A.b.c'), londiste.quote_fqname('b c'), londiste.quote_fqname('select.x') $$, '("""A"".""b.c""","public.""b c""","""select"".x")');
select pg_temp.rows($$ select * from unnest('{a,a.b.c,.b,b.}'::text[]) n, londiste.split_fqname(n) $$, '(a,public,a)|(a.b.c,a,b.c)|(.b,"",b)|(b.,b,"")');
create table t (a int, b int, c int, d int, primary key (d, b));
alter table t drop column c;
create view v as select 1 as x;
create table pt (id int primary key) partition by range (id);
select pg_temp.rows($$ select londiste.find_column_types('t'), londiste.find_column_types('nope'), londiste.find_column_types('v') $$, '(vkk,,)');
select pg_temp.rows($$ select londiste.find_table_oid('public.t')::regclass, londiste.find_table_oid('v'), londiste.find_table_oid('pt')::regclass, londiste.find_rel_oid('v', 'v')::regclass, londiste.find_rel_oid('t', 'S'), londiste.find_seq_oid('t') $$, '(t,,pt,v,,)');
select pg_temp.rows('select londiste.version(), londiste.upgrade_schema()', '(4.0.0,0)');

create table public.victim (id int);
create temp table odd (nr serial, name text);
insert into odd (name) values ('UPPER'), ('with space'), ('it''s'), ('a"b'), ('x''; drop table victim; --'),
    ('x"; drop table victim; --'), ('x''); drop table victim; --'), ('back\slash'), ('%s %I'), ('$1'), ('żółć'), ('select'), (repeat('n', 63));
do $$
declare
    n text;
    s text;
    r record;
begin
    for n in select name from odd order by nr loop
        s := 'S ' || left(n, 50);
        execute format('create schema %I; create table %I.%I (%I serial primary key, p int constraint %I references %I.%I)', s, s, n, n, n, s, n);
        perform pgq_node.register_location(n, n, n, false);
        select * into r from pgq_node.create_node(n, 'root', n, n, null, null, null);
        assert r.ret_code = 200;
        select * into r from londiste.local_add_table(n, s || '.' || n, array['ignore=' || n || 'x'], n, s || '.' || n);
        assert r.ret_code = 200 and r.ret_note = 'Table added: ' || s || '.' || n, r.ret_note;
        execute format('insert into %I.%I default values', s, n);
        select * into r from londiste.local_change_handler(n, s || '.' || n, array['backup'], n);
        assert r.ret_code = 200, r.ret_note;
        select * into r from londiste.find_table_fkeys(s || '.' || n);
        assert r.fkey_name = n, r.fkey_name;
        assert londiste.drop_table_fkey(s || '.' || n, n) = 1;
        assert (select fkey_name from londiste.get_valid_pending_fkeys(n)) = n;
        assert londiste.restore_table_fkey(s || '.' || n, n) = '';
        select * into r from londiste.execute_start(n, n, n, true, n);
        assert r.ret_code = 200;
        assert (select ret_code from londiste.execute_finish(n, n)) = 200;
        assert (select ret_code from londiste.local_set_table_state(n, s || '.' || n, n, n)) = 200;
        assert (select ret_code from londiste.local_remove_table(n, s || '.' || n)) = 200;
        execute format('create table %I.%I (%I timestamptz primary key)', s, left(n, 40) || ' parent', n);
        assert londiste.create_partition(s || '.' || left(n, 40) || ' parent', s || '.' || left(n, 40) || ' parent_2020', n, n, '2020-05-05', 'year') = 1;
        assert (select count(*) from londiste.drop_obsolete_partitions(s || '.' || left(n, 40) || ' parent', '1 year', 'year')) = 1;
        assert (select ret_code from pgq_node.drop_node(n, n)) = 200;
    end loop;
    assert to_regclass('public.victim') is not null;
end $$;
