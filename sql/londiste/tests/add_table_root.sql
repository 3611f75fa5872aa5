-- local_add_table and local_remove_table on a root: codes, triggers, events.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table t1 (id serial primary key, v text);
create table nokey (v text);
create table "Odd T" (id int primary key);
create view a_view as select 1 as id;
select pg_temp.eq(f::text, '(200,"Table added: public.t1")') from londiste.local_add_table('q', 't1') f;
select pg_temp.eq(pg_temp.triggers('t1'), '_londiste_q 25,5,27 generated q |_londiste_q_truncate 32 sqltriga q ');
select pg_temp.eq(f::text, '(200,"Table already added: public.t1")') from londiste.local_add_table('q', 'public.t1') f;
select pg_temp.eq(f::text, '(410,"Table public.t1 already added, but with different args: ")') from londiste.local_add_table('q', 't1', array['ignore=v'], 'a=1') f;
select pg_temp.eq(f::text, '(404,"Table does not exist: public.nope")') from londiste.local_add_table('q', 'nope') f;
select pg_temp.eq(f::text, '(404,"Table does not exist: public.a_view")') from londiste.local_add_table('q', 'a_view') f;
select pg_temp.eq(f::text, '(400,"Primary key missing on table: public.nokey")') from londiste.local_add_table('q', 'nokey') f;
select pg_temp.eq(f::text, '(400,"Primary key missing on table: public.nokey")') from londiste.local_add_table('q', 'nokey', array['tgflags=IU']) f;
select pg_temp.eq(f::text, '(400,"No such set: zz")') from londiste.local_add_table('zz', 't1') f;
select pg_temp.eq(f::text, '(400,"No such set: NULL")') from londiste.local_add_table(null, 't1', null) f;
select pg_temp.eq(f::text, '(404,"Table does not exist: NULL")') from londiste.local_add_table('q', null, null) f;
select pg_temp.eq(f::text, '(,)') from londiste.local_add_table('q', null) f;
select pg_temp.eq(f.ret_code::text, '400') from unnest(array['', '.', 'public.', '.t1']) x, londiste.local_add_table('q', x, null) f;
select pg_temp.eq(f.ret_code::text, '400') from unnest(array['', '.', 'public.', '.t1']) x, londiste.local_add_table('q', x, array['virtual_table']) f;
select pg_temp.eq(f::text, '(405,"Cannot use merge-all and no-merge together")') from londiste.local_add_table('q', 't1', array['merge_all', 'no_merge']) f;
select pg_temp.eq(f::text, '(200,"Table added with no triggers: public.Odd T")') from londiste.local_add_table('q', 'Odd T', array['no_triggers']) f;
select pg_temp.eq(pg_temp.triggers('"Odd T"'), '-');
select pg_temp.eq(f::text, '(200,"Table added with no triggers: public.virt(public.elsewhere)")') from londiste.local_add_table('q', 'virt', array['virtual_table'], 'x=1', 'elsewhere') f;
select pg_temp.eq(f::text, '(200,"Table added: public.nokey")') from londiste.local_add_table('q', 'nokey', array['tgflags=i']) f;
select pg_temp.eq(pg_temp.triggers('nokey'), '_londiste_q 5 generated q |_londiste_q_truncate 32 sqltriga q ');
-- a second name for the same table would take the first one's events
select pg_temp.eq(f.ret_code::text, '405') from londiste.local_add_table('q', 'ren', null, null, 't1') f;
-- replication's own tables
select pg_temp.eq(f.ret_code::text, '400') from londiste.local_add_table('q', 'pgq.queue') f;
select pg_temp.rows('select * from londiste.get_table_list(''q'')',
    '(public.t1,t,ok,,,,,0,)|("public.Odd T",t,ok,,,,,0,)|(public.virt,t,ok,,x=1,,,0,public.elsewhere)|(public.nokey,t,ok,,,,,0,)');
select pg_temp.rows('select * from londiste.local_show_missing(''q'')', '(S,public.t1_id_seq)');

insert into t1 (v) values ('a');
insert into nokey values ('n');
truncate t1;
select pg_temp.eq(pg_temp.events('q'), 'londiste.add-table public.t1|londiste.add-table public.Odd T|londiste.add-table public.virt|londiste.add-table public.nokey'
    '|I:id id=1&v=a public.t1|I: v=n public.nokey|R  public.t1');

-- renamed: events carry the global name
create table "Local Name" (id int primary key);
select pg_temp.eq(f::text, '(200,"Table added: other.glob(public.Local Name)")') from londiste.local_add_table('q', 'other.glob', null, null, 'Local Name') f;
insert into "Local Name" values (7);
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'I:id id=7 other.glob');
select pg_temp.rows('select * from londiste.local_show_missing(''q'')', '(S,public.t1_id_seq)');

select pg_temp.eq(f::text, '(200,"Table removed: public.t1")') from londiste.local_remove_table('q', 't1') f;
select pg_temp.eq(pg_temp.triggers('t1'), '-');
select pg_temp.eq(f::text, '(400,"Table not found: public.t1")') from londiste.local_remove_table('q', 't1') f;
select pg_temp.eq(f::text, '(400,"Table not found: public.t1")') from londiste.local_remove_table('zz', 't1') f;
select pg_temp.eq(f::text, '(200,"Table removed: other.glob")') from londiste.local_remove_table('q', 'other.glob') f;
select pg_temp.eq(pg_temp.triggers('"Local Name"'), '-');
select pg_temp.eq(f::text, '(200,"Table removed: public.virt")') from londiste.local_remove_table('q', 'virt') f;
select pg_temp.rows('select table_name from londiste.get_table_list(''q'')', '("public.Odd T")|(public.nokey)');

-- truncation of a renamed table carries the global name too (the C triggers cannot)
create table "Real" (id int primary key);
select londiste.local_add_table('q', 'other.glob', null, null, 'Real');
truncate "Real";
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)),
    case when split_part(pgq.version(), '.', 1) >= '4' then 'R  other.glob' else 'R  public.Real' end);
