-- copy_role and copy_pos: three queues into one table, every combination of states and dropped DDL.
\ir ../../pgq_node/tests/expect.psql
select pgq_node.register_location(q, n, 'dbname=' || n, false)
  from unnest('{c,p1,p2,p3}'::text[]) q, unnest('{here,there}'::text[]) n;
select pgq_node.create_node('c', 'root', 'here', 'cw', null, null, null);
select pgq_node.create_node(q, 'leaf', 'here', q || 'w', 'there', 1, 'c') from unnest('{p1,p2,p3}'::text[]) q;
create table t (id int primary key);
select londiste.global_add_table(q, 't') from unnest('{p1,p2,p3}'::text[]) q;
select londiste.local_add_table('p1', 't', array['merge_all', 'no_triggers']);

-- states of p1..p3: c in-copy, C in-copy with DDL, u catching-up, U catching-up with DDL, n not begun, k ok
create function pg_temp.roles(states text) returns text as $$
declare
    got text = '';
    r record;
begin
    update londiste.table_info set dropped_ddl = null, merge_state = null where table_name = 'public.t' and queue_name <> 'c';
    for i in 1..3 loop
        update londiste.table_info
           set merge_state = case upper(substr(states, i, 1)) when 'C' then 'in-copy' when 'U' then 'catching-up' when 'K' then 'ok' when 'W' then 'wanna-sync:5' end,
               dropped_ddl = case when substr(states, i, 1) in ('C', 'U') then 'ddl' end
         where queue_name = 'p' || i;
    end loop;
    for i in 1..3 loop
        select * into r from londiste.get_table_list('p' || i) where table_name = 'public.t';
        got := concat_ws(' ', nullif(got, ''), coalesce(r.copy_role, '-') || ':' || r.copy_pos);
    end loop;
    return got;
end;
$$ language plpgsql;
create temp table matrix (states text, want text);
insert into matrix values
    ('ccc', 'lead:0 wait-copy:1 wait-copy:2'),
    ('Ccc', 'lead:0 wait-replay:1 wait-replay:2'),
    ('cCc', 'wait-replay:0 lead:0 wait-replay:2'),
    ('ccC', 'wait-replay:0 wait-replay:1 lead:0'),
    ('Cuc', 'lead:0 wait-replay:0 wait-replay:1'),
    ('Ccu', 'lead:0 wait-replay:1 wait-replay:0'),
    ('Cuu', 'lead:0 wait-replay:0 wait-replay:0'),
    ('Ucc', 'wait-replay:0 wait-replay:0 wait-replay:1'),
    ('Uuc', 'wait-replay:0 wait-replay:0 wait-replay:0'),
    ('Ucu', 'wait-replay:0 wait-replay:0 wait-replay:0'),
    ('Uuu', '-:0 wait-replay:0 wait-replay:0'),
    ('uUu', 'wait-replay:0 -:0 wait-replay:0'),
    ('uuu', '-:0 -:0 -:0'),
    ('ucc', '-:0 wait-replay:0 wait-replay:1'),
    ('cuc', 'wait-replay:0 -:0 wait-replay:1'),
    ('cuu', 'wait-replay:0 -:0 -:0'),
    ('ccu', 'wait-replay:0 wait-replay:1 -:0'),
    ('uuc', '-:0 -:0 wait-replay:0'),
    ('nnn', '-:0 -:0 -:0'),
    ('ncc', '-:0 wait-copy:0 wait-copy:1'),
    ('cnn', 'lead:0 -:0 -:0'),
    ('Unn', 'wait-replay:0 -:0 -:0'),
    ('wcc', '-:0 wait-replay:0 wait-replay:1'),
    ('kcc', '-:0 lead:0 wait-copy:1'),
    ('kkc', '-:0 -:0 -:0'),
    ('kkC', '-:0 -:0 -:0'),
    ('kkU', '-:0 -:0 -:0');
select pg_temp.eq(states || ': ' || pg_temp.roles(states), states || ': ' || want) from matrix;
select pg_temp.rows('select * from londiste._coordinate_copy(''p1'', ''public.nope'')', '(,0)');
select pg_temp.rows('select * from londiste._coordinate_copy(''p1'', null)', '(,)');
