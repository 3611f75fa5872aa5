-- EXECUTE protocol: once per file, on the root into the queue, and the clean-up of old entries.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
select pg_temp.eq(f::text, '(200,"Executing: f1.sql")') from londiste.execute_start('q', 'f1.sql', 'select ''1''', true) f;
select pg_temp.eq(f::text, '(201,"EXECUTE: ""f1.sql"" already applied, skipping")') from londiste.execute_start('q', 'f1.sql', 'select 1', true) f;
select pg_temp.eq(f::text, '(200,"Execute finished: f1.sql")') from londiste.execute_finish('q', 'f1.sql') f;
select pg_temp.eq(f::text, '(200,"Executing: f2.sql")') from londiste.execute_start('q', 'f2.sql', 'select 2', true, 'local-table=public.t') f;
select londiste.execute_finish('q', 'f2.sql');
select pg_temp.eq(pg_temp.events('q'), 'EXECUTE select ''1'' f1.sql|EXECUTE select 2 f2.sql local-table=public.t');
select pg_temp.eq(f::text, '(401,"Node is not root node: l")') from londiste.execute_start('l', 'f3.sql', 'select 1', true) f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from londiste.execute_start('zz', 'f3.sql', 'select 1', false) f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from londiste.execute_finish('zz', 'f3.sql') f;
select pg_temp.eq(f::text, '(404,"execute_file called without execute_start")') from londiste.execute_finish('q', 'f3.sql') f;
-- one file name, one run in this database; a leaf sends nothing
select pg_temp.eq(f.ret_code::text, '201') from londiste.execute_start('l', 'f1.sql', 'select 1', false) f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.execute_start('l', 'f3.sql', 'select 1', false) f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.execute_finish('l', 'f3.sql') f;
update londiste.applied_execute set execute_time = now() - interval '4 months' where execute_file = 'f1.sql';
select pg_temp.eq(londiste.periodic_maintenance()::text, '0');
select pg_temp.rows('select execute_file from londiste.applied_execute order by 1', '(f2.sql)|(f3.sql)');

select pg_temp.eq(londiste.root_notify_change('q', 'my-type', 'my-data')::text, '1');
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'my-type my-data');
select pg_temp.fails($$ select londiste.root_notify_change('l', 'x', 'y') $$, null, 'only root node can send events');
select pg_temp.fails($$ select londiste.root_notify_change('zz', 'x', 'y') $$, null, 'queue does not exist: zz');
