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
    i_queue text, i_schema name, i_table name, i_trigger name, i_options text[], i_failure text, i_form text)
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

    insert into pgq.capture as c (queue_name, rel_schema, rel_name, trigger_name, options, function_name, failure, form)
        values (i_queue, i_schema, i_table, i_trigger, i_options, '', i_failure, i_form)
        on conflict (queue_name, rel_schema, rel_name, trigger_name)
            do update set options = excluded.options, failure = excluded.failure, form = excluded.form, lost_since = null, lost_reason = null
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

create or replace function pgq._capture_allow(i_table oid)
returns void as $$
-- Lets the owner of PgQ read a table that its functions capture.  As whoever puts capture on the table.
--
-- It has to find the table's types (USAGE of the schema), and to see whether a row has been changed again (SELECT; where that cannot be
-- granted, it takes events as they come).
--
-- Errors:
--      insufficient_privilege without USAGE
declare
    _owner name := (select pg_get_userbyid(p.proowner) from pg_proc p where p.oid = 'pgq._apply_allowed(text)'::regprocedure);
    _schema name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = i_table);
begin
    if not has_schema_privilege(_owner, _schema, 'usage') then
        begin
            execute format('grant usage on schema %I to %I', _schema, _owner);
        exception when insufficient_privilege then
            null;       -- said below
        end;
        if not has_schema_privilege(_owner, _schema, 'usage') then
            raise exception 'role %, the owner of PgQ, may not use schema %', _owner, _schema
                using errcode = 'insufficient_privilege', hint = format('Let the owner of the schema run: grant usage on schema %I to %I', _schema, _owner);
        end if;
    end if;
    if not has_table_privilege(_owner, i_table, 'select') then
        begin
            execute format('grant select on table %s to %I', i_table::regclass, _owner);
        exception when insufficient_privilege then
            raise notice 'role %, the owner of PgQ, may not read table %: changes that triggers make to rows of the same statement may be logged out of order',
                _owner, i_table::regclass using hint = format('Run: grant select on table %s to %I', i_table::regclass, _owner);
        end;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_check_statement(i_args text[])
returns void as $$
-- Refuses trigger arguments that capture by statement cannot have.
declare
    _o record := pgq._trigger_options(i_args);
begin
    if _o.backup or coalesce(_o.ignored, '') <> '' then
        raise exception 'form=statement is not possible with ignore= and backup' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_drop_statement(i_table oid, i_trigger name)
returns void as $$
-- Drops the triggers of capture by statement.
declare
    _t name;
begin
    for _t in
        select t.tgname from pg_trigger t
         where t.tgrelid = i_table
           and (t.tgname in (i_trigger || '_update', i_trigger || '_delete', i_trigger || '_open', i_trigger || '_pin')
                or t.tgname = i_trigger and t.tgnewtable is not null)
    loop
        execute format('drop trigger %I on %s', _t, i_table::regclass);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_triggers(i_table oid, i_trigger name, i_form text, i_function name, i_args text[], i_events text)
returns void as $$
-- Creates the triggers that capture changes in one form, and drops those of another one.
--
-- By statement there is one trigger for each operation (transition tables want that), one that notes where a statement begins, and
-- one that never fires: its transition table keeps the table from becoming a partition or a child, whose
-- statement triggers would not fire for changes made through the parent.
--
-- Errors:
--      feature_not_supported: by statement, of a table in a hierarchy
declare
    _name text := i_table::regclass::text;
    _args text := (select string_agg(quote_literal(a), ', ' order by nr) from unnest(i_args) with ordinality u (a, nr));
    _part record;
begin
    if i_form <> 'statement' then
        perform pgq._capture_drop_statement(i_table, i_trigger);
        execute format('create or replace trigger %I after %s on %s for each row execute function pgq.%I(%s)', i_trigger, i_events, _name, i_function, _args);
        execute format('alter table %s enable trigger %I', _name, i_trigger);
        return;
    end if;

    if exists (select 1 from pg_inherits h where i_table in (h.inhrelid, h.inhparent)) then
        raise exception 'form=statement is not possible for table %: it is a partition, or inherits or is inherited', _name
            using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif i_events <> 'insert or update or delete' then
        raise exception 'form=statement captures all operations, tgflags= is not possible' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif octet_length(i_trigger) > 56 then
        raise exception 'form=statement needs several triggers: the name % is too long for them', i_trigger
            using errcode = 'name_too_long', hint = 'Give a shorter one: trigger=NAME, at most 56 bytes.';
    end if;
    if exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname = i_trigger and t.tgnewtable is null) then
        execute format('drop trigger %I on %s', i_trigger, _name);
    end if;
    for _part in
        select * from (values
            ('_open', 'before insert or update or delete', '', 'statement', '_capture_open'),
            ('', 'after insert', 'referencing new table as new_rows', 'statement', i_function),
            ('_update', 'after update', 'referencing old table as old_rows new table as new_rows', 'statement', i_function),
            ('_delete', 'after delete', 'referencing old table as old_rows', 'statement', i_function),
            ('_pin', 'after delete', 'referencing old table as old_rows', 'row when (false)', i_function)) v (suffix, event, tables, each, function)
    loop
        execute format('create or replace trigger %I %s on %s %s for each %s execute function pgq.%I(%s)',
                       i_trigger || _part.suffix, _part.event, _name, _part.tables, _part.each, _part.function, _args);
        execute format('alter table %s enable trigger %I', _name, i_trigger || _part.suffix);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

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
--          capture_failure=mark    it succeeds, and pgq.capture says since when and why the table is captured incompletely
--          form=row                one event for each row, when it is written (default)
--          form=generic            the same, nothing generated
--          form=statement          all events of a statement at its end, twice as fast for large ones; refuses what it cannot log in order,
--                                  see docs/how-capture-works.md; not with ignore= and backup, not for parts of a hierarchy of tables
--
-- Returns:
--      row, generic or statement: what it has become
-- Errors:
--      No such queue; table does not exist; bad param to pgq trigger; names that events cannot carry;
--      what form=statement or capture_failure=mark cannot do;
--      schema whose objects the owner of PgQ may not use
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
    if _form not in ('row', 'generic', 'statement') then
        raise exception 'form=% is not one of row, generic, statement', _form using errcode = 'invalid_parameter_value';
    elsif _failure not in ('fail', 'mark') then
        raise exception 'capture_failure=% is not one of fail, mark', _failure using errcode = 'invalid_parameter_value';
    end if;
    _events := concat_ws(' or ', case when _events ~ 'I' or _events !~ '[IUD]' then 'insert' end,
                                 case when _events ~ 'U' or _events !~ '[IUD]' then 'update' end,
                                 case when _events ~ 'D' or _events !~ '[IUD]' then 'delete' end);
    _o := pgq._trigger_options(i_queue_name || _args);
    if _form = 'statement' then
        perform pgq._capture_check_statement(i_queue_name || _args);
    end if;
    _extra := pgq._capture_constant(_args, 'ev_extra1');
    if not pgq._capture_possible(_table, i_queue_name || _args) then
        if _form = 'statement' then
            raise exception 'form=statement is not possible for table %', i_table_name
                using errcode = 'feature_not_supported', hint = 'Expressions, deny, SKIP, columns named _pgq_ev_* and partitioned tables need form=generic.';
        end if;
        _form := 'generic';
    end if;

    if _form = 'generic' and _failure = 'mark' then
        raise exception 'capture_failure=mark is not possible for table %: its trigger cannot be generated', i_table_name
            using errcode = 'feature_not_supported', hint = 'Expressions, deny, SKIP, columns named _pgq_ev_* and partitioned tables need the generic trigger.';
    end if;
    if _form = 'generic' then
        _function := 'logutriga';
    else
        perform pgq._capture_allow(_table);
        _function := pgq._capture_register(i_queue_name, _schema, _name, _trigger, _args, _failure, _form);
    end if;
    perform pgq._capture_triggers(_table, _trigger, _form, _function, i_queue_name || _args, _events);
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
--      number of triggers dropped
declare
    _table oid := to_regclass(pgq.quote_fqname(i_table_name));
    _queue bytea := convert_to(i_queue_name, getdatabaseencoding()) || E'\\x00'::bytea;
    _t record;
    _dropped name[] := '{}';
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
           and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') or p.proname ~ '^_capture_([0-9]+|open)$')
           and substring(t.tgargs for length(_queue)) = _queue
    loop
        execute format('drop trigger %I on %I.%I', _t.tgname, _t.nspname, _t.relname);
        _dropped := _dropped || _t.tgname;
    end loop;
    -- functions go when the last trigger is gone
    perform pgq._capture_forget(i_queue_name, _t.nspname, _t.relname, d) from unnest(_dropped) d;
    return cardinality(_dropped);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
