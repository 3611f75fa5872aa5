-- cluster: own
-- Who may create objects in a schema of the search_path has nothing of it called by maintenance and by consumers: every operator between types of the
-- catalog that pg_catalog does not have itself, and the functions that are written without a schema, exist there.
select pgq.create_queue('q'), pgq.register_consumer('q', 'c');
update pgq.queue set queue_rotation_period = '0', queue_ticker_max_lag = '0', queue_ticker_idle_period = '0';
select pgq.insert_event('q', 't', 'x');
select pgq.ticker();
create table public.s (id serial);
select pgq_node.register_location('q', 'n', 'dbname=x', false), pgq_node.create_node('q', 'root', 'n', 'w', null, null, null), londiste.local_add_seq('q', 'public.s_id_seq');

do $$
declare
    _types constant regtype[] := '{bool,name,int2,int4,int8,float8,numeric,text,text[],int4[],int8[],oid,regclass,regproc,xid,timestamptz,interval,txid_snapshot}';
    _o record;
    _n int := 0;
begin
    for _o in
        select l, r, op from unnest(_types) l, unnest(_types) r, unnest('{=,<>,<,<=,>,>=,||,+,-,/,*}'::text[]) op
         where not exists (select 1 from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace and (o.oprname, o.oprleft, o.oprright) = (op, l, r))
    loop
        _n := _n + 1;
        execute format('create function public.f%s(%s, %s) returns %s language plpgsql as %L', _n, _o.l, _o.r,
                       case when _o.op ~ '[=<>]' then 'bool' when _o.op = '||' then 'text[]' else 'int8' end,
                       'begin raise ''evil was called''; end');
        execute format('create operator public.%s (function = public.f%s, leftarg = %s, rightarg = %s)', _o.op, _n, _o.l, _o.r);
    end loop;
    assert _n > 1000, _n;
    for _o in
        select * from (values
            ('array_to_string(text[], text)', 'text'), ('concat_ws(text, text, text)', 'text'), ('format(text, text)', 'text'),
            ('format(text, text, text)', 'text'), ('quote_literal(int8)', 'text')) v (f, result)
    loop
        execute format('create function public.%s returns %s language plpgsql as %L', _o.f, _o.result, 'begin raise ''evil was called''; end');
    end loop;
end $$;

-- as pgqd and a consumer with the usual path
set search_path = "$user", public;
create temp table b as select pgq.next_batch('q', 'c') as id;
select pgq.get_batch_events(id), pgq.batch_event_tables(id), pgq.get_batch_info(id) from b;
begin; select pgq.get_batch_cursor(id, 'cur', 10) from b; fetch all from cur; rollback;
select pgq.batch_retry(id, 0) from b;
select pgq.get_queue_info(), pgq.get_consumer_info();
select pgq.find_tick_helper(1, 1, now(), 1, 10, '1 hour');
select pgq.finish_batch(id) from b;
select pgq.maint_retry_events();
select pgq.ticker();
select pgq.maint_operations();
select pgq.maint_tables_to_vacuum();
select pgq.maint_rotate_tables_step1('q');
select pgq.maint_rotate_tables_step2();
do $$ begin
    perform 1 from pgq.queue where queue_cur_table operator(pg_catalog.=) 1;
    if not found then raise 'no rotation was done'; end if;
end $$;
select pgq_node.maint_watermark('q');
select londiste.root_check_seqs('q');
drop sequence public.s_id_seq cascade;
select londiste.root_check_seqs('q');
select londiste.periodic_maintenance();
