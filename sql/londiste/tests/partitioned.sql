-- Partitioned tables: registered by name, events carry the parent, no double capture, partitions one by one.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table pt (id int primary key, v text) partition by range (id);
create table pt_1 partition of pt for values from (0) to (10);
create table pt_2 partition of pt for values from (10) to (20);
-- --all takes the partitions
select pg_temp.rows('select * from londiste.local_show_missing(''q'')', '(r,public.pt_1)|(r,public.pt_2)');
select pg_temp.eq(f::text, '(200,"Table added: public.pt")') from londiste.local_add_table('q', 'pt') f;
select pg_temp.rows('select * from londiste.local_show_missing(''q'')', null);
select pg_temp.eq(f.ret_code::text || (f.ret_note like '%public.pt_1%public.pt already%'), '405true') from londiste.local_add_table('q', 'pt_1') f;
insert into pt values (1, 'a'), (11, 'b');
insert into pt_2 values (12, 'c');
update pt set v = 'x' where id = 1;
delete from pt_2 where id = 12;
truncate pt;
select pg_temp.eq(pg_temp.events('q'), 'londiste.add-table public.pt|I:id id=1&v=a public.pt|I:id id=11&v=b public.pt|I:id id=12&v=c public.pt|U:id id=1&v=x public.pt|D:id id=12&v=c public.pt|R  public.pt');
create table pt_3 partition of pt for values from (20) to (30);
insert into pt values (21, 'new');
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'I:id id=21&v=new public.pt');
select londiste.local_change_handler('q', 'pt', array['backup'], null);
select londiste.local_remove_table('q', 'pt');
select pg_temp.eq(pg_temp.triggers('pt') || pg_temp.triggers('pt_1'), '--');
-- the other way round
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_table('q', 'pt_1') f;
select pg_temp.eq(f.ret_code::text, '405') from londiste.local_add_table('q', 'pt') f;
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_table('q', 'pt_2') f;
insert into pt values (2, 'own');
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'I:id id=2&v=own public.pt_1');
-- another queue may differ; a leaf refuses changes on all partitions
select pg_temp.eq(f.ret_code::text, '200') from londiste.local_add_table('full', 'pt') f;
select londiste.local_remove_table('full', 'pt');
select londiste.global_add_table('l', 'pt'), londiste.local_add_table('l', 'pt', array['expect_sync']);
select pg_temp.fails('insert into pt_2 values (13)', null, '%change not allowed%');
