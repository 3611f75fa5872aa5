create or replace function pgq._capture_code(i_capture pgq.capture, i_table oid)
returns text as $$
-- Writes the body of the trigger function that captures one table: docs/how-capture-works.md.
--
-- It runs as the owner of PgQ and for any writer, so every name in it is qualified and nothing in it can reach code of
-- others: no expression of the user's, no cast, no operator on the values but those of built-in types.  What it calls pins
-- its search_path.  It does not pin its own, unless a column needs that: it would cost an eighth.
--
-- How fast it is depends on the number of expressions that one row goes through, and least on what is in them.
--
-- Returns:
--      PL/pgSQL
-- Errors:
--      those of pgq._trigger_options; names that the event format cannot carry
declare
    _q pgq.queue%rowtype;
    _o record;
    _p pgq.trigger_plan%rowtype;
    _extra text := pgq._capture_constant(i_capture.options, 'ev_extra1');
    _ignored text[];
    _key text[];
    _all text[];
    _types oid[];
    _state text;
    _insert text := '';
    _same text;
    _quick_update text;
    _careful_new text;
    _careful_old text;
    _ignored_same text;
    _update text := '';
    _styled boolean;
    _refuse text := '';
    _code text;
begin
    select * into _q from pgq.queue q where q.queue_name = i_capture.queue_name;
    if not found then
        raise exception 'No such queue' using errcode = 'undefined_object', detail = 'Queue: ' || i_capture.queue_name;
    end if;
    _o := pgq._trigger_options(i_capture.queue_name || i_capture.options);
    _p := pgq._trigger_plan(i_table, 'logutriga', i_capture.queue_name || i_capture.options);
    _ignored := array(select btrim(i) from unnest(string_to_array(_o.ignored, ',')) i);
    _types := array(select a.atttypid from pg_attribute a where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped order by a.attnum);
    _all := array(select k.name from pgq._capture_columns(i_table, '{}') k order by k.nr);
    _key := array(select c from unnest(_p.cols, _p.is_key) u (c, is_key) where is_key);
    _state := _q.queue_data_pfx || '_state_seq';
    _extra := quote_literal(coalesce(_extra, _p.table_text));
    -- where it is not among the settings of the function
    _styled := (select array_agg(distinct n) = '{DateStyle}'
                  from pgq._capture_columns(i_table, _ignored) k, unnest(k.needs) n where not k.ignored);

    _careful_new := pgq._capture_encode(i_table, _ignored, 'new', true);
    _careful_old := pgq._capture_encode(i_table, _ignored, 'old', true);
    _quick_update := pgq._capture_encode(i_table, _ignored, 'new', false);
    select string_agg(case when a.atttypid in ('int4'::regtype, 'int8'::regtype, 'uuid'::regtype)
            then format('pgq._capture_plain(new.%1$s) operator(pg_catalog.=) pgq._capture_plain(old.%1$s)', c.ident)
            else format('pg_catalog.format(''%%s'', new.%1$s) collate pg_catalog."C" operator(pg_catalog.=) pg_catalog.format(''%%s'', old.%1$s)', c.ident) end, ' and ' order by c.nr)
      into _same
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name = any (_key);
    if _ignored <> '{}' or _o.backup then
        _quick_update := 'null';
        _update := E'\n                _old_data := ' || _careful_old || ';';
    elsif _same is not null then
        _quick_update := format('case when %s then %s end', _same, _quick_update);
    end if;
    select string_agg(format('pg_catalog.format(''%%s'', new.%1$s) collate pg_catalog."C" operator(pg_catalog.=) pg_catalog.format(''%%s'', old.%1$s)'
                             ' and (new.%1$s is distinct from null) operator(pg_catalog.=) (old.%1$s is distinct from null)', k.ident), ' and ')
      into _ignored_same
      from pgq._capture_columns(i_table, _ignored) k where k.ignored;
    if _ignored_same is not null then
        _update := _update || format(E'\n                _nothing := _data operator(pg_catalog.=) _old_data and not (%s);', _ignored_same);
    end if;
    if _same is not null then
        _update := _update || format(E'\n                if not (%s) then\n                    %s_old_data := %s;\n                    _key_changed := true;\n                end if;',
            _same,
            case when _o.pkey is null and exists (select 1 from pg_constraint c where c.conrelid = i_table and c.contype = 'p' and c.condeferrable)
                 then format('raise exception ''primary key update not allowed: the key is deferrable'' using errcode = ''feature_not_supported'', detail = %L,'
                             ' hint = ''Rows may exchange a deferrable key, which no order of events can repeat. Make it NOT DEFERRABLE, or delete and insert.''; ',
                             'Table: ' || i_table::regclass) else '' end,
            _careful_old);
    end if;
    if not _p.has_key then
        _refuse := format('raise exception ''Update/Delete on table without pkey'' using errcode = ''object_not_in_prerequisite_state'', detail = %L,'
                          ' hint = ''Add a primary key, or give pkey=.'';', 'Table: ' || i_table::regclass);
    end if;

    if coalesce(_q.queue_per_tx_limit, -1) < 0 then
        for _n in 0 .. _q.queue_ntables - 1 loop
            _insert := _insert || format($code$
    %s _state operator(pg_catalog.=) %s then
        insert into %s (ev_time, ev_type, ev_data, ev_extra1%s)
            values (pg_catalog.now(), pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %L, _data, %s%s);$code$,
                case when _n = 0 then 'if' else 'elsif' end, 2 * _n, _q.queue_data_pfx || '_' || _n::text,
                case when _o.backup then ', ev_extra2' else '' end, ':' || _p.key_text, _extra,
                case when _o.backup then ', _old_data' else '' end);
        end loop;
    else
        _insert := E'\n    if false then\n        null;';
    end if;

    _code := format($code$
-- Generated by pgq.capture_table() for table %s, queue %s.
-- _state: what the sequence of the queue says;  -1 nothing to do;  -2 the table was altered;  -3 with care
declare
    _state pg_catalog.int8 := case
        when pg_catalog.current_setting('session_replication_role') operator(pg_catalog.=) 'local' then -1
        when case when pg_catalog.current_setting('skytools.apply_token', true) operator(pg_catalog.<>) '' then pgq._apply_allowed(%L) end then -1
        when tg_relid operator(pg_catalog.<>) '%s'::pg_catalog.oid
             or not pgq._capture_intact('%s'::pg_catalog.regclass, %s::pg_catalog.int2, '%s'::pg_catalog.oid, '%s'::pg_catalog.oid, %L::pg_catalog.text[], %L::pg_catalog.text[], %L::pg_catalog.oid[])
             or tg_table_name operator(pg_catalog.<>) %L or tg_table_schema operator(pg_catalog.<>) %L then -2
        -- the transaction has its id before the state is read; the state is no matter of snapshots: docs/design/rotation.md
        when pg_catalog.txid_current() operator(pg_catalog.>) 0%s
        then pg_catalog.pg_sequence_last_value(%L) else -3 end;
    _data pg_catalog.text;
    _old_data pg_catalog.text;
    _style pg_catalog.text;
    _key_changed pg_catalog.bool;
    _nothing pg_catalog.bool;
begin
    if _state operator(pg_catalog.>=) 0 then
        if tg_op operator(pg_catalog.=) 'INSERT' then
            _data := %s;
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            %s
            _data := %s;
        else
            %s
            _data := %s;
        end if;
    end if;
    if _data is null or _data operator(pg_catalog.~) '[^A-Za-z0-9_.&%%=+-]' collate pg_catalog."C" then
        if _state operator(pg_catalog.=) -1 then
            return null;
        elsif _state operator(pg_catalog.=) -2 then
            -- one statement per operation: NEW has no type in a DELETE
            if tg_op operator(pg_catalog.=) 'INSERT' then
                perform pgq._capture_row(%L, %L, tg_relid, tg_op, %L, new, null::pg_catalog.record);
            elsif tg_op operator(pg_catalog.=) 'UPDATE' then
                perform pgq._capture_row(%L, %L, tg_relid, tg_op, %L, new, old);
            else
                perform pgq._capture_row(%L, %L, tg_relid, tg_op, %L, null::pg_catalog.record, old);
            end if;
            return null;
        end if;%s
        begin
            if tg_op operator(pg_catalog.=) 'INSERT' then
                _data := %s;
            elsif tg_op operator(pg_catalog.=) 'UPDATE' then
                %s
                _data := %s;%s
            else
                %s
                _data := %s;
            end if;
        exception when program_limit_exceeded or internal_error or out_of_memory then
            perform pgq._capture_too_large(tg_relid, sqlerrm);
        end;%s
        if _key_changed then
            perform pgq._capture_event(%L, %L, _old_data, %s, null);
            perform pgq._capture_event(%L, %L, _data, %s, null);
            return null;
        elsif _nothing then
            return null;
        end if;
    end if;
%s
    else
        perform pgq._capture_event(%L, pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %L, _data, %s, %s);
        return null;
    end if;
    if pg_catalog.pg_sequence_last_value(%L) operator(pg_catalog.<>) _state then
        perform pgq._assert_still_open(%L, %L);
    end if;
    return null;
end;
$code$,
        replace(replace(_p.rel_schema || '.' || _p.rel_name, E'\n', ' '), E'\r', ' '),
        replace(replace(_q.queue_name, E'\n', ' '), E'\r', ' '),
        -- _state
        _q.queue_name, i_table, i_table, _p.last_attnum, _p.key_index, _p.identity_index, _p.key_names, _all, _types, _p.rel_name, _p.rel_schema,
        case when _styled then E'\n             and pg_catalog.current_setting(''DateStyle'') operator(pg_catalog.~~) ''ISO%''' else '' end,
        _state,
        -- quick
        pgq._capture_encode(i_table, _ignored, 'new', false), _refuse, _quick_update,
        _refuse, pgq._capture_encode(i_table, _ignored, 'old', false),
        -- altered
        _q.queue_name, i_capture.function_name, i_capture.options,
        _q.queue_name, i_capture.function_name, i_capture.options,
        _q.queue_name, i_capture.function_name, i_capture.options,
        -- careful
        case when _styled then E'\n        _style := pg_catalog.current_setting(''DateStyle'');\n        perform pg_catalog.set_config(''DateStyle'', ''ISO'', true);' else '' end,
        _careful_new, _refuse, _careful_new, _update, _refuse, _careful_old,
        case when _styled then E'\n        perform pg_catalog.set_config(''DateStyle'', _style, true);' else '' end,
        -- key changed
        _q.queue_name, 'D:' || _p.key_text, _extra, _q.queue_name, 'I:' || _p.key_text, _extra,
        -- write
        _insert, _q.queue_name, ':' || _p.key_text, _extra, case when _o.backup then '_old_data' else 'null' end,
        _state, _q.queue_name, _q.queue_data_pfx);
    return _code;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_too_large(i_table oid, i_error text)
returns void as $$
-- Names the table whose row cannot be logged.
begin
    raise exception 'changes of table % cannot be logged: a row larger than 1 GB', i_table::regclass
        using errcode = 'program_limit_exceeded', detail = i_error;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function pgq._capture_constant(i_options text[], i_field text)
returns text as $$
-- The value of an option FIELD=EXPR whose expression is a string constant; null if there is none.
declare
    _arg text;
    _x record;
begin
    foreach _arg in array i_options loop
        if starts_with(_arg, i_field || '=') then
            select * into _x from pgq._trigger_expression(substr(_arg, length(i_field) + 2), '{}');
            return case when _x.o_sql is null then _x.o_const end;
        end if;
    end loop;
    return null;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
