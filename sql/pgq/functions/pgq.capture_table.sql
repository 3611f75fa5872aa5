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
--          form=row                one event for each row, in the order in which they are changed (default)
--          form=generic            the same, nothing generated
--          form=statement          all events of a statement at its end, twice as fast for large ones; refuses what it cannot log in order,
--                                  see docs/how-capture-works.md; not with ignore= and backup, not for parts of a hierarchy of tables
--
-- Returns:
--      row, generic or statement: what it has become
-- Errors:
--      No such queue; table does not exist; bad param to pgq trigger; names that events cannot carry;
--      what form=statement or capture_failure=mark cannot do;
--      a temporary table; schema whose objects the owner of PgQ may not use
declare
    _table oid := to_regclass(pgq.quote_fqname(i_table_name));
    _schema name;
    _name name;
    _trigger name := '_londiste_' || i_queue_name;
    _operations text := '';
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
    if exists (select 1 from pg_class c where c.oid = _table and c.relpersistence = 't') then
        raise exception 'table % is temporary: only its session could write it anew when it is altered', i_table_name
            using errcode = 'feature_not_supported', hint = 'Use a table that is not.';
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
            _operations := upper(substr(_arg, 9));
        elsif _arg is not null then
            _args := _args || _arg;
        end if;
    end loop;
    if _form not in ('row', 'generic', 'statement') then
        raise exception 'form=% is not one of row, generic, statement', _form using errcode = 'invalid_parameter_value';
    elsif _failure not in ('fail', 'mark') then
        raise exception 'capture_failure=% is not one of fail, mark', _failure using errcode = 'invalid_parameter_value';
    end if;
    _operations := case when _operations ~ '[IUD]' then concat(substring(_operations from 'I'), substring(_operations from 'U'), substring(_operations from 'D')) else 'IUD' end;
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
        if not _o.deny then
            perform pgq._trigger_check_key(_table, i_queue_name || _args);
        end if;
    else
        perform pgq._capture_allow(_table);
        _function := pgq._capture_register(i_queue_name, _schema, _name, _trigger, _args, _failure, _form, _operations);
    end if;
    perform pgq._capture_triggers(_table, _trigger, _form, _function, i_queue_name || _args, _operations);
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
