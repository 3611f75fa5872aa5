create or replace function pgq._capture_possible(i_table oid, i_args text[])
returns boolean as $$
-- Whether capture with these trigger arguments can be generated: a plain table
-- without magic columns, nothing that is evaluated, a queue.
declare
    _o record := pgq._trigger_options(i_args);
begin
    return not _o.skip and not _o.deny
       and _o.fields <@ '{ev_extra1}'::text[]
       and (_o.fields = '{}' or pgq._capture_constant(i_args[2:], 'ev_extra1') is not null)
       and exists (select 1 from pgq.queue q where q.queue_name = i_args[1])
       and exists (select 1 from pg_class c where c.oid = i_table and c.relkind = 'r')
       and not exists (select 1 from pg_attribute a
                        where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and starts_with(a.attname, '_pgq_ev_'));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_register(
    i_queue text, i_schema name, i_table name, i_trigger name, i_options text[], i_failure text)
returns name as $$
-- Notes that a table is captured, and writes its function.
--
-- Returns:
--      name of the function in schema pgq
-- Tables directly manipulated:
--      insert/update - pgq.capture
declare
    _c pgq.capture%rowtype;
begin
    -- of tables that were dropped
    perform pgq._capture_forget(c.queue_name, c.rel_schema, c.rel_name, c.trigger_name)
       from pgq.capture c
      where (c.queue_name, c.rel_schema, c.rel_name, c.trigger_name) is distinct from (i_queue, i_schema, i_table, i_trigger)
        and not exists (select 1 from pg_trigger t where t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name)));

    insert into pgq.capture as c (queue_name, rel_schema, rel_name, trigger_name, options, function_name, failure)
        values (i_queue, i_schema, i_table, i_trigger, i_options, '', i_failure)
        on conflict (queue_name, rel_schema, rel_name, trigger_name)
            do update set options = excluded.options, failure = excluded.failure, lost_since = null, lost_reason = null
        returning * into _c;
    if _c.function_name = '' then
        -- after a restore the numbers may begin again while functions are still there
        while to_regprocedure(format('pgq.%I()', '_capture_' || _c.capture_id)) is not null loop
            update pgq.capture set capture_id = nextval('pgq.capture_capture_id_seq') where capture_id = _c.capture_id
                returning capture_id into _c.capture_id;
        end loop;
        update pgq.capture set function_name = '_capture_' || capture_id where capture_id = _c.capture_id returning * into _c;
    end if;
    perform pg_advisory_xact_lock('pgq.capture'::regclass::oid::int4, hashtext(_c.function_name::text));
    perform pgq._write_capture(_c);
    return _c.function_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_forget(i_queue text, i_schema name, i_table name, i_trigger name)
returns void as $$
-- Removes what pgq._capture_register made.  Its trigger must be gone.
declare
    _function name;
begin
    delete from pgq.capture
     where queue_name = i_queue and rel_schema = i_schema and rel_name = i_table and trigger_name = i_trigger
    returning function_name into _function;
    if found then
        execute format('drop function if exists pgq.%I()', _function);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.capture_table(i_queue_name text, i_table_name text, variadic i_options text[] default '{}')
returns text as $$
-- Puts capture on a table: every change becomes an event of the queue, in the format of pgq.logutriga.
--
-- Where the options allow it, the trigger function is generated for this table, which costs a fraction of the
-- generic trigger: docs/how-capture-works.md.  To be run by the table's owner with the rights of pgq_admin or
-- londiste_writer; run again it changes what differs.
--
-- Parameters:
--      i_table_name    - schema.table, unquoted
--      i_options       - those of pgq.logutriga: ignore=, pkey=, backup, ev_extra1='name' (constant); with others, with
--                        magic columns or on a partitioned table the trigger is generic.  Besides:
--          trigger=NAME            name of the row trigger, default _londiste_QUEUE
--          tgflags=LETTERS         operations of I, U, D; default all
--          capture_failure=fail    a change that cannot be captured fails (default)
--          form=row|generic        generic: do not generate
--
-- Returns:
--      row or generic: what it has become
-- Errors:
--      No such queue; table does not exist; bad param to pgq trigger; names that events cannot carry
declare
    _table oid := to_regclass(pgq.quote_fqname(i_table_name));
    _schema name;
    _name name;
    _trigger name := '_londiste_' || i_queue_name;
    _events text := '';
    _form text := 'row';
    _failure text := 'fail';
    _args text[] := '{}';
    _arg text;
    _o record;
    _function name;
    _extra text;
begin
    select n.nspname, c.relname into _schema, _name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = _table and c.relkind in ('r', 'p');
    if not found then
        raise exception 'table does not exist: %', coalesce(i_table_name, 'NULL') using errcode = 'undefined_table';
    end if;
    if not exists (select 1 from pgq.queue q where q.queue_name = i_queue_name) then
        raise exception 'No such queue' using errcode = 'undefined_object', detail = 'Queue: ' || coalesce(i_queue_name, 'NULL');
    end if;
    foreach _arg in array i_options loop
        if starts_with(_arg, 'trigger=') then
            _trigger := substr(_arg, 9);
        elsif starts_with(_arg, 'form=') then
            _form := substr(_arg, 6);
        elsif starts_with(_arg, 'capture_failure=') then
            _failure := substr(_arg, 17);
        elsif starts_with(_arg, 'tgflags=') then
            _events := upper(substr(_arg, 9));
        elsif _arg is not null then
            _args := _args || _arg;
        end if;
    end loop;
    if _form not in ('row', 'generic') then
        raise exception 'form=% is not one of row, generic', _form using errcode = 'invalid_parameter_value';
    elsif _failure <> 'fail' then
        raise exception 'capture_failure=% is not one of fail', _failure using errcode = 'invalid_parameter_value';
    end if;
    _events := concat_ws(' or ', case when _events ~ 'I' or _events !~ '[IUD]' then 'insert' end,
                                 case when _events ~ 'U' or _events !~ '[IUD]' then 'update' end,
                                 case when _events ~ 'D' or _events !~ '[IUD]' then 'delete' end);
    _o := pgq._trigger_options(i_queue_name || _args);
    _extra := pgq._capture_constant(_args, 'ev_extra1');
    if not pgq._capture_possible(_table, i_queue_name || _args) then
        _form := 'generic';
    end if;

    if _form = 'generic' then
        _function := 'logutriga';
    else
        _function := pgq._capture_register(i_queue_name, _schema, _name, _trigger, _args, _failure);
    end if;
    execute format('create or replace trigger %I after %s on %I.%I for each row execute function pgq.%I(%s)',
                   _trigger, _events, _schema, _name, _function,
                   (select string_agg(quote_literal(a), ', ' order by nr) from unnest(i_queue_name || _args) with ordinality u (a, nr)));
    execute format('alter table %I.%I enable trigger %I', _schema, _name, _trigger);
    execute format('create or replace trigger %I after truncate on %I.%I for each statement execute function pgq.sqltriga(%s)',
                   _trigger || '_truncate', _schema, _name,
                   concat_ws(', ', quote_literal(i_queue_name), quote_literal('ev_extra1=' || quote_literal(_extra)),
                             case when _o.deny then quote_literal('deny') end));
    if _form = 'generic' then
        perform pgq._capture_forget(i_queue_name, _schema, _name, _trigger);
    end if;
    return _form;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.uncapture_table(i_queue_name text, i_table_name text)
returns integer as $$
-- Takes all capture for a queue off a table, generated and generic, whatever the triggers are called.
--
-- Returns:
--      number of row and truncate triggers dropped
declare
    _table oid := to_regclass(pgq.quote_fqname(i_table_name));
    _queue bytea := convert_to(i_queue_name, getdatabaseencoding()) || '\x00'::bytea;
    _t record;
    _count int4 := 0;
begin
    if _table is null then
        raise exception 'table does not exist: %', coalesce(i_table_name, 'NULL') using errcode = 'undefined_table';
    end if;
    for _t in
        select t.tgname, n.nspname, c.relname
          from pg_trigger t
               join pg_class c on c.oid = t.tgrelid
               join pg_namespace n on n.oid = c.relnamespace
               join pg_proc p on p.oid = t.tgfoid
         where t.tgrelid = _table and not t.tgisinternal and t.tgparentid = 0
           and p.pronamespace = 'pgq'::regnamespace
           and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') or p.proname ~ '^_capture_[0-9]+$')
           and substring(t.tgargs for length(_queue)) = _queue
    loop
        execute format('drop trigger %I on %I.%I', _t.tgname, _t.nspname, _t.relname);
        perform pgq._capture_forget(i_queue_name, _t.nspname, _t.relname, _t.tgname);
        _count := _count + 1;
    end loop;
    return _count;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
