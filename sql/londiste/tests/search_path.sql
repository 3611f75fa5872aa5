-- Who may create objects in a schema of the search_path has nothing of it called by Londiste, nodes, subconsumers and remembered positions: every operator
-- between types of the catalog, and most functions, exist there, before those of pg_catalog, and fail.  All functions but a few are pinned (pinned_path.sql),
-- so that none is called here stands for all callers.
\ir ../../pgq_node/tests/expect.psql
\ir nodes.psql
create table t (id serial primary key, v text);
create table u (id int primary key, t int constraint "u t" references t, w int constraint "u w" references t);
create table other (id int primary key);
create table leaf_t (id serial primary key);
create table pt (id int primary key) partition by range (id);
create table pt_1 partition of pt for values from (0) to (10);
create table ev (id int primary key, tm timestamptz not null check (id > 0));
create trigger first after update of id on ev for each row when (new.id > 0) execute function pgq.logutriga('q');
create rule r as on insert to ev do also notify x;
grant select on ev to pg_monitor;
create table ev_2020 (id int);
create sequence s;
create temp table got (nr serial, f text);

create sequence hits;
create function evil() returns void language plpgsql as $$ begin perform pg_catalog.nextval('public.hits'); raise 'evil was called'; end $$;
do $$
declare
    _types constant regtype[] := '{"\"char\"",bool,name,int2,int4,int8,numeric,text,bytea,text[],name[],int2[],int4[],int2vector,oid,oid[],regclass,regproc,regprocedure,regtype,regnamespace,tid,xid,timestamptz,interval}';
    _o record;
    _n int := 0;
begin
    set local search_path = pg_catalog;
    for _o in select l, r from unnest(_types) l, unnest(_types) r loop
        _n := _n + 1;
        execute format('create function public.f%s(%s, %s) returns bool language plpgsql as %L', _n, _o.l, _o.r, 'begin perform public.evil(); end');
        execute (select string_agg(format('create operator public.%s (function = public.f%s, leftarg = %s, rightarg = %s)', op, _n, _o.l, _o.r), ';')
                   from unnest('{=,<>,<,<=,>,>=,||,+,-,*,/,&,|,~,!~,~*,!~*,~~,!~~,~~*,&&,<@,@>}'::text[]) op);
    end loop;
    for _o in
        select distinct p.proname, pg_get_function_identity_arguments(p.oid) as args, pg_get_function_result(p.oid) as result
          from pg_proc p
         where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
           and p.proname in ('array_to_string', 'btrim', 'cardinality', 'convert_to', 'current_setting', 'date_trunc', 'getdatabaseencoding', 'left', 'length',
                             'lower', 'ltrim', 'md5', 'now', 'octet_length', 'pg_get_constraintdef', 'quote_ident', 'quote_literal', 'repeat',
                             'replace', 'set_config', 'split_part', 'starts_with', 'substr', 'substring', 'to_char', 'to_regclass', 'to_regprocedure', 'unnest', 'upper')
        union all
        select f, a, 'text' from unnest('{format,concat_ws,concat}'::text[]) f, unnest('{"text,text","text,text,text","text,name","text,text,text,text","text,bigint"}'::text[]) a
        union all
        select * from (values ('left', 'name, int', 'text'), ('length', 'name', 'int'), ('substr', 'name, int', 'text'), ('quote_ident', 'name', 'text')) v
    loop
        execute format('create function public.%I(%s) returns %s language plpgsql as %L', _o.proname, _o.args, _o.result, 'begin perform public.evil(); end');
    end loop;
end $$;

set search_path = public, pg_catalog;
-- what was planted works: an exact match, one that is none in pg_catalog, and a function
do $$ begin
    begin perform 'a'::text = 'b'::text; exception when raise_exception then begin perform 1::oid = 'pg_class'::regclass; exception when raise_exception then
        begin perform now(); exception when raise_exception then return; end; end; end;
    raise 'nothing evil was called' using errcode = 'ZZ000';
end $$;
alter sequence hits restart;

insert into got (f) select f::text from londiste.global_add_table('l', 'leaf_t') f;
insert into got (f) select f::text from londiste.local_add_table('l', 'leaf_t') f;
insert into got (f) select f::text from londiste.local_add_table('q', 't', '{tgflags=IUD,ignore=v}', 'a=1', 'public.t') f;
insert into got (f) select f::text from londiste.local_add_table('q', 'u', '{form=statement}') f;
insert into got (f) select f::text from londiste.local_add_table('q', 'pt', null, null) f;
insert into got (f) select f::text from londiste.local_add_table('q', 'pt_1') f;
insert into got (f) select f::text from londiste.local_add_table('q', 'ev', '{tgflags=B,skip}') f;
insert into got (f) select f::text from londiste.local_add_table('q', 'nope') f;
insert into got (f) select f::text from londiste.global_add_table('p1', 'other') f;
insert into got (f) select f::text from londiste.global_add_table('p2', 'other') f;
insert into got (f) select f::text from londiste.local_add_table('p1', 'other', '{merge_all}') f;
insert into got (f) select f::text from londiste.local_change_handler('q', 'u', '{capture_failure=mark}', 'b=2') f;
insert into got (f) select f::text from londiste.local_change_handler('q', 't', '{tgflags=BQ}', null) f;
insert into got (f) select f::text from londiste.local_set_table_attrs('q', 't', 'c=3') f;
insert into got (f) select f::text from londiste.local_add_seq('q', 's') f;
insert into got (f) select f::text from londiste.local_add_seq('q', 't_id_seq') f;
insert into got (f) select f::text from londiste.global_update_seq('l', 'leaf_t_id_seq', 10) f;
insert into got (f) select f::text from londiste.local_add_seq('l', 'leaf_t_id_seq') f;
insert into got (f) select f::text from londiste.root_check_seqs('q') f;
insert into got (f) select f::text from londiste.local_set_table_state('p1', 'other', null, 'in-copy') f;
insert into got (f) select f::text from londiste.local_set_table_state('p2', 'other', null, 'in-copy') f;
insert into got (f) select f::text from londiste.get_table_list('p2') f;
insert into got (f) select f::text from londiste.get_seq_list('q') f;
insert into got (f) select f::text from londiste.local_show_missing('q') f;
insert into got (f) select f::text from londiste.local_show_missing('l') f;
insert into got (f) select f::text from londiste.execute_start('q', 'x.sql', 'select 1', true) f;
insert into got (f) select f::text from londiste.execute_finish('q', 'x.sql') f;
insert into got (f) select f::text from londiste.find_column_types('u') f;
insert into got (f) select f::text from londiste.find_table_fkeys('u') f;
insert into got (f) select f::text from londiste.find_seq_oid('nope') f;
insert into got (f) select f::text from londiste.is_replica_func('pgq.logutriga()'::regprocedure) f;
insert into got (f) select f::text from londiste.quote_fqname('A') f;
insert into got (f) select f::text from londiste.make_fqname('A') f;
insert into got (f) select f::text from londiste.split_fqname('A.b') f;
insert into got (f) select f::text from londiste.drop_table_fkey('u', 'u t') f;
insert into got (f) select f::text from londiste.drop_table_fkey('u', 'u w') f;
insert into got (f) select f.fkey_name from londiste.get_table_pending_fkeys('u') f;
insert into got (f) select f.fkey_name from londiste.get_valid_pending_fkeys('q') f;
insert into got (f) select f::text from londiste.restore_table_fkey('u', 'u t', true) f;
insert into got (f) select f::text from londiste.restore_table_fkey('u', 'u t') f;
insert into got (f) select f::text from londiste.restore_table_fkey('u', 'u w', false) f;
insert into got (f) select f::text from londiste.create_partition('ev', 'ev_2021_02', 'id', 'tm', '2021-02-03', 'month') f;
insert into got (f) select f::text from londiste.is_obsolete_partition('ev_2020', '1 day', 'year') f;
insert into got (f) select f::text from londiste.list_obsolete_partitions('ev', '1 day', 'year') f;
insert into got (f) select f::text from londiste.drop_obsolete_partitions('ev', '1 day', 'year') f;
insert into got (f) select f::text from londiste.root_notify_change('q', 'x', 'y') f;
insert into got (f) select f::text from londiste.periodic_maintenance() f;
insert into got (f) select f::text from londiste.drop_table_triggers('q', 'pt') f;
-- in the middle of a copy, with what that has dropped
insert into got (f) select f::text from londiste.local_set_table_state('l', 'leaf_t', null, 'in-copy') f;
insert into got (f) select f::text from londiste.local_set_table_struct('l', 'leaf_t', 'create index came_back on public.leaf_t (id)') f;
insert into got (f) select f::text from londiste.local_remove_table('l', 'leaf_t') f;
insert into got (f) select f::text from londiste.local_remove_table('q', 't') f;
insert into got (f) select f::text from londiste.local_remove_table('q', 'nope') f;
insert into got (f) select f::text from londiste.local_remove_seq('q', 's') f;
insert into got (f) select f::text from londiste.global_remove_table('q', 'u') f;
insert into got (f) select f::text from londiste.global_remove_table('p2', 'other') f;

insert into got (f) select f::text from pgq_node.register_location('n', 'n1', 'dbname=n', false) f;
insert into got (f) select f::text from pgq_node.register_location('n', 'n2', 'dbname=n', false) f;
insert into got (f) select f::text from pgq_node.create_node('n', 'root', 'n1', 'nw', null, null, null) f;
insert into got (f) select f::text from pgq_node.is_root_node('n') f;
insert into got (f) select f::text from pgq_node.is_leaf_node('n') f;
insert into got (f) select f::text from pgq_node.register_subscriber('n', 'n2', 'n2w', null) f;
insert into got (f) select f::text from pgq_node.set_subscriber_watermark('n', 'n2', 1) f;
insert into got (f) select f::text from pgq_node.get_subscriber_info('n') f;
insert into got (f) select f.ret_code from pgq_node.get_node_info('n') f;
insert into got (f) select f.ret_code from pgq_node.get_worker_state('l') f;
insert into got (f) select f.ret_code from pgq_node.get_consumer_state('n', 'nw') f;
insert into got (f) select f.consumer_name from pgq_node.get_consumer_info('n') f;
insert into got (f) select f.node_name from pgq_node.get_queue_locations('n') f;
insert into got (f) select f::text from pgq_node.set_consumer_completed('l', 'lw', 2) f;
insert into got (f) select f::text from pgq_node.set_consumer_error('l', 'lw', 'e') f;
insert into got (f) select f::text from pgq_node.set_consumer_paused('l', 'lw', true) f;
insert into got (f) select f::text from pgq_node.set_consumer_uptodate('l', 'lw', true) f;
insert into got (f) select f::text from pgq_node.change_consumer_provider('l', 'lw', 'there') f;
insert into got (f) select f::text from pgq_node.set_node_attrs('n', 'a=1') f;
insert into got (f) select f::text from pgq_node.set_global_watermark('n', null) f;
insert into got (f) select f::text from pgq_node.set_partition_watermark('full', 'p1', 2) f;
insert into got (f) select f::text from pgq_node.maint_watermark('n') f;
insert into got (f) select f::text from pgq_node.unregister_consumer('l', 'lw') f;
insert into got (f) select f::text from pgq_node.unregister_subscriber('n', 'n2') f;
insert into got (f) select f.ret_code from pgq_node.demote_root('n', 1, 'n2') f;
insert into got (f) select f.ret_code from pgq_node.demote_root('n', 2, 'n2') f;
insert into got (f) select f.ret_code from pgq_node.demote_root('n', 3, 'n2') f;
insert into got (f) select f::text from pgq_node.promote_branch('n') f;
insert into got (f) select f::text from pgq_node.unregister_location('n', 'n2') f;
insert into got (f) select f::text from pgq_node.drop_node('n', 'n1') f;
insert into got (f) select f::text from pgq_node.drop_node('q', 'here') f;
insert into got (f) select f::text from pgq_node.upgrade_schema() f;

insert into got (f) select f::text from pgq_coop.register_subconsumer('full', 'c', 's') f;
insert into got (f) select f::text from pgq_coop.next_batch('full', 'c', 's') f;
insert into got (f) select f::text from pgq_coop.next_batch('full', 'c', 's', '1 hour') f;
insert into got (f) select f::text from pgq_coop.next_batch_custom('full', 'c', 's', null, null, null) f;
insert into got (f) select f::text from pgq_coop.unregister_subconsumer('full', 'c', 's', 0) f;

insert into got (f) select f::text from pgq_ext.set_last_tick('c', 1) f;
insert into got (f) select f::text from pgq_ext.get_last_tick('c') f;
insert into got (f) select f::text from pgq_ext.set_batch_done('c', 1) f;
insert into got (f) select f::text from pgq_ext.is_batch_done('c', 1) f;
insert into got (f) select f::text from pgq_ext.set_event_done('c', 1, 1) f;
insert into got (f) select f::text from pgq_ext.is_event_done('c', 1, 1) f;
insert into got (f) select f::text from pgq_ext.upgrade_schema() f;
set search_path = pg_catalog;

select pg_temp.rows('select is_called from public.hits', '(f)');
-- and all of it did its work: nothing is refused but what should be
select pg_temp.rows($$ select f from got where f ~ '^\([34]' order by nr $$, '("(405,""Changes of table public.pt_1 are captured for queue q through public.pt already, use remove-table on that first"")")'
    '|("(404,""Table does not exist: public.nope"")")|("(400,""Table not found: public.nope"")")');
select pg_temp.eq(count(*)::text, '108') from got;
