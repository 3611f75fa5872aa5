-- modules: pgq pgq_node londiste
-- Tables, sequences and scripts on a root: codes, notes, triggers, events.
\set VERBOSITY terse
set client_min_messages = warning;
select pgq_node.register_location('q','n1','dbname=n1',false);
select pgq_node.create_node('q','root','n1','w1',null,null,null);
create table t1(id serial primary key, v text);
create table nopk(v text);
create table "Odd T"(id int primary key);
select londiste.local_add_table('q','t1');
select londiste.local_add_table('q','t1');
select londiste.local_add_table('q','t1',array['ignore=v'],'a=1');
select londiste.local_add_table('q','nope');
select londiste.local_add_table('q','nopk');
select londiste.local_add_table('qx','t1');
select londiste.local_add_table('q','Odd T',array['no_triggers']);
select londiste.local_add_table('q','virt',array['virtual_table']);
select londiste.local_add_table('q','x', array['merge_all','no_merge']);
select * from londiste.get_table_list('q');
select londiste.local_show_missing('q');
select londiste.local_show_missing('qx');
select londiste.local_set_table_state('q','t1','1:2:','in-copy');
select londiste.local_set_table_state('q','tx','1:2:','in-copy');
select londiste.local_set_table_attrs('q','public.t1','x=1');
select londiste.local_set_table_struct('q','public.t1','alter table x');
select londiste.local_change_handler('q','public.t1',array['backup'],'h=1');
select londiste.local_change_handler('q','public.t1',array['no_triggers'],'h=1');
select londiste.local_change_handler('q','public.tx',array['no_triggers'],'h=1');
select londiste.local_change_handler('qx','public.tx',array['no_triggers'],'h=1');
select londiste.local_add_seq('q','t1_id_seq');
select londiste.local_add_seq('q','t1_id_seq');
select londiste.local_add_seq('q','nope');
select londiste.get_seq_list('q');
select londiste.root_check_seqs('q');
select londiste.root_check_seqs('q',5);
select londiste.root_check_seqs('qx');
select londiste.global_update_seq('q','public.t1_id_seq',5);
select londiste.global_update_seq('qx','public.t1_id_seq',5);
select londiste.local_remove_seq('q','t1_id_seq');
select londiste.local_remove_seq('q','t1_id_seq');
select londiste.global_remove_seq('q','t1_id_seq');
select londiste.global_remove_seq('qx','t1_id_seq');
select londiste.execute_start('q','f1.sql','select 1',true);
select londiste.execute_start('q','f1.sql','select 1',true);
select londiste.execute_finish('q','f1.sql');
select londiste.execute_finish('q','fx.sql');
select londiste.execute_start('q','f3.sql','select 1',true,'a=1');
select londiste.execute_finish('q','f3.sql');
select londiste.root_notify_change('q','a','b');
select londiste.root_notify_change('qx','a','b');
select londiste.global_add_table('q','public.gl');
select londiste.global_add_table('q','public.gl');
select londiste.global_add_table('qx','public.gl');
select londiste.local_add_table('q','Xx',array['virtual_table'],'a=1','y');
select londiste.local_remove_table('q','Xx');
select londiste.global_remove_table('q','public.gl');
select londiste.global_remove_table('q','public.gl');
select londiste.local_remove_table('q','t1');
select londiste.local_remove_table('q','t1');
select londiste.local_remove_table('qx','t1');
select tgname from pg_trigger where tgrelid='t1'::regclass and tgname !~ '^[~!]';
select * from londiste.table_info;
select ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3 from pgq.event_1;
select londiste.find_column_types('public.t1'), londiste.find_column_types('public.nope'), londiste.find_rel_oid('t1','r')::regclass, londiste.find_table_oid('Odd T')::regclass, londiste.find_seq_oid('t1_id_seq')::regclass;
select londiste.make_fqname('a'),londiste.make_fqname(''),londiste.make_fqname('a.b.c'),londiste.quote_fqname('A.b.c'),londiste.quote_fqname('b c'),londiste.split_fqname('a'),londiste.split_fqname('a.b.c'),londiste.split_fqname('.b'),londiste.split_fqname('b.');
select londiste.is_replica_func('pgq.logutriga'::regproc),londiste.is_replica_func('pgq.create_queue'::regproc), londiste.is_replica_func(1);
select londiste.drop_table_triggers('q','t1');
create table tz (id int primary key, v text);
create function pg_temp.try(args text[], tbl text, node text) returns setof text as $$
declare r record;
begin
    select * into r from londiste.create_trigger('q', tbl, args, 'public.tz', node);
    return next r.ret_code || ' ' || r.ret_note;
    -- Where the original has logutriga, ours has a function generated for the table that writes the same events, called by three triggers;
    -- generic ones are two, the second with a WHEN clause.
    return query
        select case when x.several
                    then regexp_replace(regexp_replace(x.def, ' WHEN \(pgq\._trigger_number\(.*\)\) EXECUTE', ' EXECUTE'), ' "?[~!]?_londiste_q"? (AFTER|BEFORE) [A-Z ]+ ON ', ' _londiste_q AFTER '
                             || concat_ws(' OR ', case when x.types & 4 <> 0 then 'INSERT' end, case when x.types & 8 <> 0 then 'DELETE' end, case when x.types & 16 <> 0 then 'UPDATE' end) || ' ON ')
                    else x.def end
          from (select regexp_replace((array_agg(pg_get_triggerdef(oid) order by tgqual is not null, tgname))[1], 'pgq\._capture_\d+\(', 'pgq.logutriga(') as def,
                       bit_or(tgtype) as types, count(*) > 1 or bool_or(tgname like '!%') as several, ltrim(tgname, '~!') as name
                  from pg_trigger where tgrelid = 'tz'::regclass group by ltrim(tgname, '~!')) x
         order by x.name collate "C";
    drop table tz;
    create table tz (id int primary key, v text);
end;
$$ language plpgsql;
select pg_temp.try(null, 'public.tz', 'root');
select pg_temp.try(array['tgflags=zBiu','when=true'], 'public.tz', 'leaf');
select pg_temp.try(array['tgflags=Q','backup'], 'public.tz', 'branch');
select pg_temp.try(array['tgflags=JLD','ev_extra3=''x'''], 'public.tz', 'root');
select pg_temp.try(array['virtual_table'], 'public.tz', 'root');
select pg_temp.try(array['no_triggers'], 'public.tz', 'root');
select pg_temp.try(array['tgflags=BS'], 'public.tz', 'root');
select pg_temp.try(array['tgflags=ABQL'], 'public.tz', 'root');
select pg_temp.try(array['ignore=v'], 'public.tz', 'leaf');
