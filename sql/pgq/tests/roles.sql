-- cluster: own
-- Who may do what; installing without the right to create roles, and with it.
select pgq.create_queue('q');
create role w in role pgq_writer; create role r in role pgq_reader; create role a in role pgq_admin; create role nobody;
create function may(_role text, _sql text) returns boolean language plpgsql as $$
begin
    execute format('set local role %I', _role);
    begin
        execute _sql;
    exception
        when insufficient_privilege then
            reset role;
            return false;
    end;
    reset role;
    return true;
end $$;
grant create on schema public to public;
do $$
declare
    _c record;
begin
    for _c in select * from (values
        ('select pgq.insert_event(''q'', ''t'', ''d'')',            'w a'),
        ('select pgq.current_event_table(''q'')',                   'w a'),
        ('select pgq.insert_event_raw(''q'', null, now(), null, null, ''t'', ''d'', null, null, null, null)', 'a'),
        ('insert into pgq.event_1_0 (ev_time, ev_type) values (now(), ''t'')', 'a'),
        ('select pgq.register_consumer(''q'', ''c'')',              'r a'),
        ('select pgq.next_batch(''q'', ''c'')',                     'r a'),
        ('select * from pgq.event_1',                               'r a'),
        ('select pgq.unregister_consumer(''q'', ''c'')',            'r a'),
        ('select pgq.get_queue_info()',                             'w r a nobody'),
        ('select pgq.get_consumer_info()',                          'w r a nobody'),
        ('select pgq.version()',                                    'w r a nobody'),
        ('select * from pgq.queue, pgq.tick, pgq.subscription, pgq.consumer, pgq.event_1_state_seq', 'w r a nobody'),
        ('select * from pgq.retry_queue',                           'a'),
        ('select * from pgq.apply_token',                           ''),
        ('select * from pgq.queue_server',                          'a'),
        ('select pgq.apply_token(''q'')',                           'a'),
        ('insert into pgq.trigger_plan (relid) values (1)',         ''),
        ('select pgq.ticker()',                                     'a'),
        ('select pgq.maint_rotate_tables_step2()',                  'a'),
        ('select pgq._settle_queue_state(1)',                       'a'),
        ('update pgq.queue set queue_disable_insert = not queue_disable_insert', 'a'),
        ('select pgq.create_queue(''q2'')',                         'a'),
        ('select pgq.set_queue_config(''q'', ''ticker_max_lag'', ''1'')', 'a'),
        ('select pgq.drop_queue(''q2'')',                           'a')) v (command, allowed)
    loop
        for _role in 1 .. 4 loop
            declare
                _name text := (array['w', 'r', 'a', 'nobody'])[_role];
            begin
                assert may(_name, _c.command) = (_name = any (string_to_array(_c.allowed, ' '))), _name || ': ' || _c.command;
            end;
        end loop;
    end loop;
end $$;
update pgq.queue set queue_disable_insert = false;
select pgq.ticker();

-- nothing of pgq is executable by PUBLIC beyond the listed
do $$ declare _open text; begin
    select string_agg(p.proname, ' ' order by 1) into _open from pg_proc p
     where pronamespace = 'pgq'::regnamespace and has_function_privilege('nobody', p.oid, 'execute')
       and proname not in ('seq_getval', 'get_queue_info', 'get_consumer_info', 'quote_fqname', 'version', '_apply_allowed', '_capture_nested', '_capture_number', '_capture_key', '_capture_never_null', '_capture_constraint_triggers', '_trigger_number', '_trigger_first', '_trigger_which', '_urlencode', '_urlencode_bytes', '_event_encoding',
            '_trigger_plan', '_trigger_urlenc', '_trigger_json', '_trigger_sql', '_assert_queue_state', '_assert_still_open', '_count_tx_event');
    assert _open is null, _open;
end $$;

-- SECURITY DEFINER without a pinned search_path: none but what WHEN clauses call for each row, all of whose names are qualified (capture_order.sql calls them
-- where every operator is another)
do $$ declare _bad text; begin
    select string_agg(p.proname, ' ') into _bad from pg_proc p
     where pronamespace = 'pgq'::regnamespace and prosecdef
       and not coalesce('search_path=pg_catalog, pgq, pg_temp' = any (proconfig), false)
       and proname not in ('_capture_number', '_trigger_number', '_trigger_first');
    assert _bad is null, _bad;
end $$;

-- names that pgq_admin may write into pgq.queue stay names: what is run of them is run by the owner
do $$
declare
    _bad text;
    _long constant text := 'x;alter/**/role/**/a/**/superuser;alter/**/sequence/**/x/**/rename/**/to';
    _column text;
begin
    set local role a;
    foreach _bad in array array['pgq.x;alter/**/role/**/a/**/superuser;--', 'pgq.' || _long || '"' || left(_long, 63) || '";--',
                                'pgq.event_1_0 select 1, now(); alter role a superuser; --', 'public.mine', 'pgq.a.b', 'event_1', E'pgq.event_1\nx', '']
    loop
        foreach _column in array array['queue_data_pfx', 'queue_event_seq', 'queue_tick_seq'] loop
            begin
                execute format('update pgq.queue set %I = %L where queue_id = 1', _column, _bad);
                raise 'taken: % %', _column, _bad using errcode = 'ZZ000';
            exception
                when check_violation then null;
            end;
        end loop;
        begin
            insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
                values (999, 'inj', _bad, 'pgq.event_1_id_seq', 'pgq.event_1_tick_seq');
            raise 'taken: %', _bad using errcode = 'ZZ000';
        exception
            when check_violation then null;
        end;
    end loop;
    update pgq.queue set queue_data_pfx = queue_data_pfx, queue_per_tx_limit = 5 where queue_id = 1;
    reset role;
    assert not (select rolsuper from pg_roles where rolname = 'a');
end $$;

-- Row security would hide events from readers, and consumers from rotation: an error instead.
select pgq.create_queue('rls'), pgq.register_consumer('rls', 'c'), pgq.insert_event('rls', 't', 'd'), pgq.force_tick('rls');
select pgq.ticker('rls');
select pgq.next_batch('rls', 'c') as batch \gset
select may('r', 'select * from pgq.get_batch_events(' || :batch || ')') as read, format('alter table %s enable row level security', pgq.current_event_table('rls')) as hide \gset
:hide;
select :'read' = 't' and not may('r', 'select * from pgq.get_batch_events(' || :batch || ')')
   and not may('r', 'select * from pgq.get_batch_cursor(' || :batch || ', ''x'', 1)')
   and not may('r', 'select pgq.batch_event_sql(' || :batch || ')')
   and (select count(*) from pgq.get_batch_events(:batch)) = 1 as ok \gset
select :'ok' = 't' and may('a', 'select pgq.maint_rotate_tables_step1(''rls'')') as ok \gset
update pgq.queue set queue_rotation_period = '0' where queue_name = 'rls';
alter table pgq.subscription_key enable row level security;
select :'ok' = 't' and not may('a', 'select pgq.maint_rotate_tables_step1(''rls'')') as ok \gset
select 1 / (:'ok' = 't')::int as ok \gset
