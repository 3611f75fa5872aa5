create or replace function pgq._capture_row_code(i_capture pgq.capture, i_table oid)
returns text as $$
-- Writes the body of the trigger function that captures the rows of one table: docs/how-capture-works.md.
--
-- It runs as the owner of PgQ and for any writer, so every name in it is qualified and nothing in it can reach code of
-- others: no expression of the user's, no cast, no operator on the values but those of built-in types.  What it calls pins
-- its search_path.  It does not pin its own, unless a column needs that: it would cost an eighth.
--
-- What one row per transaction costs is the number of expressions, and of the function calls in them, that are set up;
-- what a row of many costs is the same number, evaluated.  So all that is needed for the usual row comes first and in as
-- few as possible; RETURN NEW is no expression, RETURN NULL is one.
--
-- Returns:
--      PL/pgSQL
-- Errors:
--      those of pgq._trigger_options; names that the event format cannot carry
declare
    _w record;
    _state text;
    _rows text := '';
    _op text;
    _refuse text := '';
    _careful_update text := '';
    _too_large text;
    _leave text;
    _taking text;
    _a record;
    _unless_alone text;
    _look text;
    _overtaken text;
    _again text := '';
    _code text;
begin
    _w := pgq._capture_words(i_capture, i_table);
    _state := _w.prefix || '_state_seq';
    _leave := pgq._capture_leave(_w.needs);
    _refuse := case when _w.has_key then '' else pgq._capture_refuse(i_capture, _leave, 'Update/Delete on table without pkey',
        'object_not_in_prerequisite_state', 'Table: ' || i_table::regclass, 'Add a primary key, or give pkey=.') end;
    _too_large := case i_capture.failure when 'mark'
        then format('perform pgq._capture_lost(%L, sqlerrm); %s return null;', i_capture.function_name, _leave)
        else 'perform pgq._capture_too_large(tg_relid, sqlerrm);' end;

    -- a trigger may use unique values again while the change that frees them is still to be logged
    _taking := pgq._capture_taking(i_capture.function_name);
    _a := pgq._capture_again(i_capture, i_table, _w, 'old', 'capture._self', 'capture._command');
    if _a.find is not null then
        -- where only a scan of the table finds them, not each insert is a reason to
        _unless_alone := case when _a.indexed then '' else 'pg_catalog.pg_trigger_depth() operator(pg_catalog.>) 1 and ' end;
        _look := format($code$
                -- a plan from when the table was small would scan it
                _scans := pg_catalog.current_setting('enable_seqscan');
                perform pg_catalog.set_config('enable_seqscan', 'off', true);
                for _key, _held, _row in %s loop
                    _taken := _taken operator(pg_catalog.||) pgq._capture_take_back(%L, %s, %L, _key, _held, _row);
                end loop;
                perform pg_catalog.set_config('enable_seqscan', _scans, true);$code$, _a.find, _w.prefix, _w.extra, _w.key_text);
        if not _a.certain then
            _look := format($code$
                begin%s
                exception when ambiguous_function then
                    -- a type of the key has got an implicit cast meanwhile
                    _taken := pgq._capture_used_again(%L, %L, tg_relid, old, pgq._capture_own(old.xmin), _self, %s);
                    perform pgq._capture_heal(%L, %L, tg_relid);
                end;$code$, _look, i_capture.queue_name, i_capture.function_name, _w.extra, i_capture.queue_name, i_capture.function_name);
        end if;
        _overtaken := format($code$
                if pg_catalog.current_setting(%L, true) operator(pg_catalog.<>) '' then
                    _taken := pgq._capture_overtaken(%L, %s, %L, %s, %s, %s, pgq._capture_own(old.xmin));
                end if;$code$, pgq._capture_inside(i_capture.function_name), _w.prefix, _w.extra, _w.key_text,
            pgq._capture_encode(i_table, array(select k.name from pgq._capture_columns(i_table, '{}') k where k.name <> all (_w.key_columns)), 'old', 'careful'),
            pgq._capture_encode(i_table, _w.ignored, 'old', 'careful'), _a.freed);
        _again := format($code$
    -- what others have taken of the row's unique values, and was logged before it
    if _frees is null then
        if tg_op operator(pg_catalog.=) 'DELETE' then
            _frees := true;
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            _frees := not (%1$s);
            _self := new.ctid;
            _command := new.cmin;
        end if;
        if _frees and pg_catalog.current_setting(%2$L, true) operator(pg_catalog.<>) ''
           and pg_catalog.has_table_privilege(tg_relid, 'select') and not pg_catalog.row_security_active(tg_relid) then%6$s%7$s%3$s
        end if;
        perform pg_catalog.set_config(%2$L, 'yes', true) where %4$s_self is not null and _frees;
        if _taken operator(pg_catalog.<>) '{}' then
            _state := -3;
        elsif _state operator(pg_catalog.=) -4 then
            _state := pg_catalog.pg_sequence_last_value(%5$L);
            continue;
        end if;
    end if;
$code$, _a.same, _taking, _look, _unless_alone, _state,
            coalesce(format(E'\n                if _state operator(pg_catalog.=) -3 then %s end if;', nullif(pgq._capture_enter(_w.needs), '')), ''), _overtaken);
    end if;

    -- the usual row: one block for each operation
    foreach _op in array '{INSERT,UPDATE,DELETE}'::text[] loop
        _rows := _rows || format($code$
    %s (case when _state operator(pg_catalog.>=) 0 then tg_op operator(pg_catalog.=) %L end) then%s$code$,
            case _op when 'INSERT' then 'if' else 'elsif' end, _op,
            case when _op <> 'INSERT' and _refuse <> '' then E'\n        ' || _refuse
                 when _op = 'UPDATE' and (_w.ignored <> '{}' or _w.backup) then E'\n        null;'
                 -- null where there is no quick way
                 else coalesce(E'\n        _data := ' || case _op
                         when 'INSERT' then 'case when new.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid then '
                              || pgq._capture_encode(i_table, _w.ignored, 'new', 'quick', i_capture.chars) || ' end'
                         when 'UPDATE' then 'case when new.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid' || coalesce(' and ' || coalesce(_a.same, _w.same_key), '') || ' then '
                              || pgq._capture_encode(i_table, _w.ignored, 'new', 'quick', i_capture.chars) || ' end'
                         else pgq._capture_encode(i_table, _w.ignored, 'old', 'quick', i_capture.chars) end || ';'
                      || pgq._capture_insert(i_capture, _w.prefix, _w.tables, quote_literal("left"(_op, 1) || ':' || _w.key_text), _w.extra, false), E'\n        null;') end);
    end loop;
    _rows := _rows || E'\n    end if;';

    -- an update, value by value
    if _w.ignored <> '{}' or _w.backup then
        _careful_update := E'\n                _old_data := ' || pgq._capture_encode(i_table, _w.ignored, 'old', 'careful') || ';';
    end if;
    if _w.same_ignored is not null then
        _careful_update := _careful_update || format(E'\n                _nothing := _data operator(pg_catalog.=) _old_data and not (%s);', _w.same_ignored);
    end if;
    if _w.same_key is not null then
        _careful_update := _careful_update || format(E'\n                if not (%s) then\n                    %s_old_data := %s;\n                    _key_changed := true;\n                end if;',
            _w.same_key,
            case when _w.swappable
                 then pgq._capture_refuse(i_capture, _leave, 'primary key update not allowed: the key is deferrable', 'feature_not_supported', 'Table: ' || i_table::regclass,
                        'Rows may exchange a deferrable key, which no order of events can repeat. Make it NOT DEFERRABLE, or delete and insert.') || ' ' else '' end,
            pgq._capture_encode(i_table, _w.ignored, 'old', 'careful'));
    end if;

    _code := format($code$
-- Generated by pgq.capture_table() for table %s, queue %s.
-- _state: what the sequence of the queue says;  -1 nothing to do;  -2 the table was altered;  -3 with care;  -4 others may have taken unique values
-- (the block has a name because columns may be called as its variables are)
<<capture>>
declare
    -- An AFTER ROW trigger has its transaction id, so the state is read after it; the state is no matter of snapshots: docs/design/rotation.md
    _state pg_catalog.int8 := %s;
    _data pg_catalog.text;
    _old_data pg_catalog.text;
    _style pg_catalog.text;
    _settings pg_catalog.text[];
    _key_changed pg_catalog.bool;
    _nothing pg_catalog.bool;
    _newest pg_catalog.tid;
    _frees pg_catalog.bool;
    _self pg_catalog.tid;
    _command pg_catalog.cid;
    _scans pg_catalog.text;
    _key pg_catalog.text;
    _held pg_catalog.text;
    _row pg_catalog.text;
    _taken pg_catalog.text[] := '{}';
begin
loop%s

    -- anything else
    if _state operator(pg_catalog.=) -1 then
        return null;
    elsif tg_op operator(pg_catalog.=) 'DELETE' then
        null;
    elsif new.xmax operator(pg_catalog.<>) '0'::pg_catalog.xid then
        _newest := pgq._capture_newest(tg_relid, new.ctid);
    end if;
    if _state operator(pg_catalog.=) -2 or _newest is not null then
        %s
        return null;
    end if;
%s    if _state operator(pg_catalog.>=) 0 then
        if tg_op operator(pg_catalog.=) 'INSERT' then
            _data := pgq._capture_rest(%s);
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            _data := pgq._capture_rest(%s);
        else
            _data := pgq._capture_rest(%s);
        end if;
    else
        %s
        _state := pg_catalog.pg_sequence_last_value(%L);
    end if;
    if _data is null then
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
            %s
        end;
        %s
        if _key_changed or _taken operator(pg_catalog.<>) '{}' then
            if _key_changed or tg_op operator(pg_catalog.=) 'DELETE' then
                perform pgq._capture_event(%L, %L, case when _key_changed then _old_data else _data end, %s, null);
            end if;
            if tg_op operator(pg_catalog.<>) 'DELETE' then
                perform pgq._capture_event(%L, case when _key_changed then %L else %L end, _data, %s, case when _key_changed then null else %s end);
            end if;
            perform pgq._capture_behind(%L, %s, _taken);
            return null;
        elsif _nothing then
            return null;
        end if;
    end if;
%s
    perform pgq._capture_event(%L, pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %L, _data, %s, %s);
    return null;
end loop;
end;
$code$,
        replace(replace(_w.full_name, E'\n', ' '), E'\r', ' '),
        replace(replace(i_capture.queue_name, E'\n', ' '), E'\r', ' '),
        pgq._capture_state(i_capture, i_table, _w,
            case when _a.find is null then '' else format($code$
        when %stg_op operator(pg_catalog.=) 'INSERT' and pg_catalog.set_config(%L, 'yes', true) is null then null
        when pg_catalog.pg_trigger_depth() operator(pg_catalog.>) 1 and pg_catalog.set_config(%L, 'yes', true) is null then null$code$,
                _unless_alone, _taking, pgq._capture_inside(i_capture.function_name)) end,
            case when _a.find is null then '' else format($code$
        when tg_op operator(pg_catalog.=) 'DELETE' and pg_catalog.current_setting(%L, true) operator(pg_catalog.<>) '' then -4$code$, _taking) end),
        _rows,
        -- altered, or no longer the newest version
        pgq._capture_slow(i_capture), _again,
        -- chain
        coalesce(pgq._capture_encode(i_table, _w.ignored, 'new', 'chain'), 'null'),
        case when _w.ignored <> '{}' or _w.backup then 'null'
             else coalesce('case when ' || coalesce(_w.same_key, 'true') || ' then ' || pgq._capture_encode(i_table, _w.ignored, 'new', 'chain') || ' end', 'null') end,
        coalesce(pgq._capture_encode(i_table, _w.ignored, 'old', 'chain'), 'null'),
        -- with care
        pgq._capture_enter(_w.needs), _state,
        -- careful
        pgq._capture_encode(i_table, _w.ignored, 'new', 'careful'),
        _refuse, pgq._capture_encode(i_table, _w.ignored, 'new', 'careful'), _careful_update,
        _refuse, pgq._capture_encode(i_table, _w.ignored, 'old', 'careful'),
        _too_large,
        _leave,
        -- key changed, or values taken
        i_capture.queue_name, 'D:' || _w.key_text, _w.extra,
        i_capture.queue_name, 'I:' || _w.key_text, 'U:' || _w.key_text, _w.extra, case when _w.backup then '_old_data' else 'null' end,
        i_capture.queue_name, _w.extra,
        -- write
        pgq._capture_insert(i_capture, _w.prefix, _w.tables, format('pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %L', ':' || _w.key_text), _w.extra, _w.backup),
        i_capture.queue_name, ':' || _w.key_text, _w.extra, case when _w.backup then '_old_data' else 'null' end);
    return _code;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
