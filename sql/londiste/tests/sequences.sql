-- Sequences: published ahead, moved forward on the other side, removed.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create sequence s1;
create sequence "Odd s";
create table not_a_seq (id int);
select pg_temp.eq(f::text, '(200,"Sequence added: public.s1")') from londiste.local_add_seq('q', 's1') f;
select pg_temp.eq(f::text, '(201,"Sequence already added: public.s1")') from londiste.local_add_seq('q', 'public.s1') f;
select pg_temp.eq(f::text, '(400,"Sequence not found: public.nope")') from londiste.local_add_seq('q', 'nope') f;
select pg_temp.eq(f::text, '(400,"Sequence not found: public.not_a_seq")') from londiste.local_add_seq('q', 'not_a_seq') f;
select pg_temp.eq(f::text, '(400,"Sequence not found: NULL")') from londiste.local_add_seq('q', null) f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from londiste.local_add_seq('zz', 's1') f;
select londiste.local_add_seq('q', 'Odd s');
select pg_temp.rows('select * from londiste.get_seq_list(''q'')', '(public.s1,30001,t)|("public.Odd s",30001,t)');
select pg_temp.rows('select * from londiste.local_show_missing(''q'')', '(r,public.not_a_seq)');
select pg_temp.eq(pg_temp.events('q'), 'londiste.update-seq 30001 public.s1|londiste.update-seq 30001 public.Odd s');

select setval('s1', 20000);
select pg_temp.eq(f::text, '(100,"Sequences updated")') from londiste.root_check_seqs('q') f;
select pg_temp.rows('select * from londiste.get_seq_list(''q'')', '(public.s1,30001,t)|("public.Odd s",30001,t)');
select setval('s1', 20001);
select londiste.root_check_seqs('q');
select pg_temp.rows('select * from londiste.get_seq_list(''q'')', '(public.s1,50001,t)|("public.Odd s",30001,t)');
select setval('s1', 50000);
select londiste.root_check_seqs('q', 10);
select pg_temp.rows('select last_value from londiste.get_seq_list(''q'') where seq_name = ''public.s1''', '(50030)');
-- no buffer to speak of: the default
select londiste.root_check_seqs('q', 9), londiste.root_check_seqs('q', null);
select pg_temp.rows('select last_value from londiste.get_seq_list(''q'') where seq_name = ''public.s1''', '(80000)');
select pg_temp.eq(f::text, '(404,"Queue not found: zz")') from londiste.root_check_seqs('zz') f;
select pg_temp.eq(f::text, '(402,"Not a root node")') from londiste.root_check_seqs('l') f;
-- dropped behind our back: the others go on
drop sequence s1;
select setval('"Odd s"', 30000);
select pg_temp.eq(f.ret_code::text || (f.ret_note like '%public.s1'), '301true') from londiste.root_check_seqs('q') f;
select pg_temp.rows('select last_value from londiste.get_seq_list(''q'') where seq_name = ''public.Odd s''', '(60000)');
select pg_temp.eq(f::text, '(200,"Sequence removed: public.s1")') from londiste.local_remove_seq('q', 's1') f;
select pg_temp.eq(f::text, '(400,"Sequence not found: public.s1")') from londiste.local_remove_seq('q', 's1') f;
select pg_temp.eq(f::text, '(404,"Unknown queue: zz")') from londiste.local_remove_seq('zz', 's1') f;
select pg_temp.eq(reverse(split_part(reverse(pg_temp.events('q')), '|', 1)), 'londiste.remove-seq public.s1');
-- a root that takes no events publishes none
select pgq_node.demote_root('q', 1, 'there');
select pg_temp.eq(f.ret_code::text, '301') from londiste.root_check_seqs('q') f;

-- the other side
create sequence s2;
select pg_temp.eq(f::text, '(404,"Unknown sequence: public.s2")') from londiste.local_add_seq('l', 's2') f;
select pg_temp.eq(f::text, '(200,"Sequence updated")') from londiste.global_update_seq('l', 'public.s2', 500) f;
select pg_temp.eq(f::text, '(404,"Set not found: zz")') from londiste.global_update_seq('zz', 'public.s2', 500) f;
select pg_temp.eq(f::text, '(402,"Must not run on root node")') from londiste.global_update_seq('q', 'public.s2', 500) f;
select pg_temp.rows('select last_value from s2', '(1)');
select pg_temp.rows('select * from londiste.local_show_missing(''l'')', '(S,public.s2)');
select pg_temp.eq(f::text, '(200,"Sequence added: public.s2")') from londiste.local_add_seq('l', 's2') f;
select pg_temp.rows('select last_value from s2', '(500)');
select londiste.global_update_seq('l', 'public.s2', 600);
select pg_temp.rows('select last_value from s2', '(600)');
select londiste.global_update_seq('l', 'public.s2', 550);
select pg_temp.rows('select last_value from s2', '(600)');
select pg_temp.eq(f::text, '(200,"Sequence removed: public.s2")') from londiste.local_remove_seq('l', 's2') f;
select pg_temp.eq(f::text, '(404,"Sequence not found: public.s2")') from londiste.local_remove_seq('l', 's2') f;
select pg_temp.eq(f::text, '(200,"Sequence removed: public.s2")') from londiste.global_remove_seq('l', 's2') f;
select pg_temp.eq(f::text, '(400,"Sequence not found: public.s2")') from londiste.global_remove_seq('l', 's2') f;

-- a table takes the sequences of its serial columns along
create table t (id serial primary key, big bigint generated always as identity, small smallserial);
select londiste.local_add_table('full', 't');
select londiste.local_add_seq('full', x) from unnest('{t_id_seq,t_big_seq,t_small_seq}'::text[]) x;
select londiste.local_remove_table('full', 't');
select pg_temp.rows('select seq_name from londiste.get_seq_list(''full'')', '(public.t_small_seq)');
