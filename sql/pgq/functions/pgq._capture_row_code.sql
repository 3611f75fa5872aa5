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
-- few as possible; RETURN NEW is no expression.
--
-- It is called by AFTER INSERT, by BEFORE UPDATE OR DELETE, and by AFTER UPDATE OR DELETE for what the second left to the third (or for
-- everything, by a trigger of an older installation): pgq._capture_order.sql says why.  A BEFORE trigger that returns null keeps the change
-- from being made, so nothing here returns null.
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
    _same text;
    _refuse text := '';
    _null_key text;
    _pending text;
    _careful_update text := '';
    _leave text;
    _code text;
begin
    _w := pgq._capture_words(i_capture, i_table);
    _state := _w.prefix || '_state_seq';
    _leave := pgq._capture_leave(_w.needs);
    _same := concat_ws(' and ', coalesce(_w.same_key, 'true'), _w.same_claims);

    -- a row whose insert is still to be written; when this code was written the key may not have been deferrable
    _pending := format($code$if pg_catalog.age(old.xmin) operator(pg_catalog.<=) 0 and %spgq._capture_pending(old.xmin) then
            %s
        end if;
        $code$,
        case when _w.swappable then '(_state operator(pg_catalog.<>) -2 or pgq._capture_swappable(tg_relid, pgq._capture_key(tg_relid, tg_argv))) and '
             else format('_state operator(pg_catalog.=) -2 and pgq._capture_key_checked(tg_relid, %L) and pgq._capture_swappable(tg_relid, pgq._capture_key(tg_relid, tg_argv)) and ',
                         i_capture.function_name) end,
        pgq._capture_refuse(i_capture, '$LEAVE', 'a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable', 'feature_not_supported',
                            'Table: ' || i_table::regclass, 'Its insert may not be logged yet, and another row may have its key. Make the key NOT DEFERRABLE, or change the row in a statement of the client.'));
    -- for the order of what is captured: pgq._capture_triggers()
    if i_capture.operations = 'ID' then
        _rows := format($code$
    if tg_op operator(pg_catalog.=) 'UPDATE' then
        %sif pg_catalog.age(old.xmin) operator(pg_catalog.<=) 0 and pgq._capture_first(%L, tg_relid, old.ctid, %s) then
            null;
        end if;
        return new;
    end if;$code$, replace(_pending, 'if pg_catalog.age', 'if _state operator(pg_catalog.<>) -1 and pg_catalog.age'), i_capture.function_name, _w.sequence);
        _rows := replace(_rows, '$LEAVE', 'return new;');
    end if;
    -- the usual row: one block for each operation
    foreach _op in array '{INSERT,UPDATE,DELETE}'::text[] loop
        _rows := _rows || format($code$
    %s (case when _state operator(pg_catalog.>=) 0%s then tg_op operator(pg_catalog.=) %L end) then%s$code$,
            case _op when 'INSERT' then 'if' else 'elsif' end, case _op when 'INSERT' then '' else ' and tg_when operator(pg_catalog.=) ''BEFORE''' end, _op,
            pgq._capture_usual(i_capture, i_table, _w, _op, _same));
    end loop;
    _rows := _rows || E'\n    end if;';

    -- an update, value by value
    if not _w.has_key then
        _refuse := pgq._capture_refuse(i_capture, _leave || ' exit slow;', 'Update/Delete on table without pkey',
            'object_not_in_prerequisite_state', 'Table: ' || i_table::regclass, 'Add a primary key, or give pkey=.');
    end if;
    _null_key := pgq._capture_null_key(i_table, _w.key_columns, 'old');
    if _null_key is not null then
        _refuse := case i_capture.failure when 'mark'
                   then format('if %s then perform pgq._capture_lost(%L, ''the key of a row is null''); %s exit slow; end if;', _null_key, i_capture.function_name, _leave)
                   else format('if %s then perform pgq._capture_null_refused(tg_relid); end if;', _null_key) end;
    end if;
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
                 then pgq._capture_refuse(i_capture, _leave || ' exit slow;', 'primary key update not allowed: the key is deferrable', 'feature_not_supported', 'Table: ' || i_table::regclass,
                        'Rows may exchange a deferrable key, which no order of events can repeat. Make it NOT DEFERRABLE, or delete and insert.') || ' ' else '' end,
            pgq._capture_encode(i_table, _w.ignored, 'old', 'careful'));
    end if;

    _code := format($code$
-- Generated by pgq.capture_table() for table %1$s, queue %2$s.
-- _state: what the sequence of the queue says;  -1 nothing to do;  -2 the table was altered;  -3 with care;  -4 another BEFORE trigger follows;
--      -5 may be any of these, behind what the snapshot shows
declare
    -- A trigger for rows has its transaction id, so the state is read after it; the state is no matter of snapshots: docs/design/rotation.md
    _state pg_catalog.int8 := %3$s;
    _data pg_catalog.text;
begin%4$s

    -- anything else; the usual row does not pay for these variables
    <<slow>>
    declare
    _old_data pg_catalog.text;
    _style pg_catalog.text;
    _settings pg_catalog.text[];
    _key_changed pg_catalog.bool;
    _nothing pg_catalog.bool;
    _numbers pg_catalog.int8[];
    begin
    if _state operator(pg_catalog.=) -5 then
        perform pgq._capture_unaltered(tg_relid);
    end if;
    if _state operator(pg_catalog.=) -1 then
        exit slow;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then%30$s
        if new.xmax operator(pg_catalog.<>) '0'::pg_catalog.xid then
            _numbers := pgq._capture_numbers(%5$L, tg_relid, new.ctid, 'I', %6$s, false);
        end if;
    elsif tg_when operator(pg_catalog.<>) 'BEFORE' then
        _numbers := pgq._capture_numbers(%5$L, tg_relid, old.ctid, 'C', %6$s, false);
    else
        -- no statement, whose text would be in the context that this function looks at
        %18$sif pg_catalog.age(old.xmin) operator(pg_catalog.<=) 0 and pgq._capture_first(%5$L, tg_relid, old.ctid, %6$s) then
            null;
        end if;
        if pg_catalog.current_setting('skytools.late%29$s', true) operator(pg_catalog.<>) '' then
            -- an update that has become a delete and an insert elsewhere, or came to nothing
            perform pgq._capture_take_late(%5$L, tg_relid, old.ctid);
        end if;
        if _state operator(pg_catalog.<) 0 and (_state operator(pg_catalog.<>) -5 or pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.~) '^read ')
           and pgq._capture_follower(tg_relid, %5$L) is not null then
            %28$s
        end if;
        if tg_op operator(pg_catalog.=) 'UPDATE' then
            -- of an altered table, no column may be mentioned
            if _state operator(pg_catalog.<) 0 then
                perform pgq._capture_leave_to_after(%5$L, tg_relid, old.ctid);
                exit slow;
            elsif %7$s then
                perform pgq._capture_leave_to_after(%5$L, tg_relid, old.ctid);
                exit slow;
            end if;
        elsif _state operator(pg_catalog.<) 0 and pgq._capture_leaves_delete(tg_relid, %5$L) then
            perform pgq._capture_leave_to_after(%5$L, tg_relid, old.ctid);
            exit slow;
        end if;
    end if;
    if _state operator(pg_catalog.=) -2 then
        %8$s
        exit slow;
    end if;
    if _state operator(pg_catalog.>=) 0 then
        if tg_op operator(pg_catalog.=) 'INSERT' then
            _data := pgq._capture_rest(%9$s);
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            _data := pgq._capture_rest(%10$s);
        else
            _data := pgq._capture_rest(%11$s);
        end if;
    else
        %12$s
        _state := pg_catalog.pg_sequence_last_value(%13$L);
    end if;
    if _data is null then
        begin
            if tg_op operator(pg_catalog.=) 'INSERT' then
                _data := %14$s;
            elsif tg_op operator(pg_catalog.=) 'UPDATE' then
                %15$s
                _data := %14$s;%16$s
            else
                %15$s
                _data := %17$s;
            end if;
        exception when program_limit_exceeded or internal_error or out_of_memory then
            %19$s
        end;
        %20$s
        if _key_changed then
            perform pgq._capture_event(%21$L, _numbers[1], %22$L, _old_data, %23$s, null);
            perform pgq._capture_event(%21$L, _numbers[2], %24$L, _data, %23$s, null);
            exit slow;
        elsif _nothing then
            exit slow;
        end if;
    end if;
    %25$s
    perform pgq._capture_event(%21$L, _numbers[1], pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %26$L, _data, %23$s, %27$s);
    end;
    if tg_op operator(pg_catalog.=) 'DELETE' then
        return old;
    end if;
    return new;
end;
$code$,
        replace(replace(_w.full_name, E'\n', ' '), E'\r', ' '),
        replace(replace(i_capture.queue_name, E'\n', ' '), E'\r', ' '),
        pgq._capture_state(i_capture, i_table, _w),
        _rows,
        i_capture.function_name, _w.sequence,
        -- whether an update is left to the AFTER trigger
        case when _w.late then 'true' else format('not (%s)', _same) end,
        pgq._capture_slow(i_capture),
        -- chain
        coalesce(pgq._capture_encode(i_table, _w.ignored, 'new', 'chain'), 'null'),
        case when _w.ignored <> '{}' or _w.backup or not _w.has_key then 'null'
             else coalesce('case when ' || concat_ws(' and ', coalesce(_w.same_key, 'true'), 'not ' || _null_key) || ' then ' || pgq._capture_encode(i_table, _w.ignored, 'new', 'chain') || ' end', 'null') end,
        case when _w.swappable or not _w.has_key then 'null'
             else coalesce(coalesce('case when not ' || _null_key || ' then ', '') || pgq._capture_encode(i_table, _w.ignored, 'old', 'chain')
                           || case when _null_key is null then '' else ' end' end, 'null') end,
        -- with care
        pgq._capture_enter(_w.needs), _state,
        -- careful
        pgq._capture_encode(i_table, _w.ignored, 'new', 'careful'),
        _refuse, _careful_update,
        pgq._capture_encode(i_table, _w.ignored, 'old', 'careful'),
        replace(_pending, '$LEAVE', 'exit slow;'),
        -- a row too large
        case i_capture.failure when 'mark'
             then format('perform pgq._capture_lost(%L, sqlerrm); %s exit slow;', i_capture.function_name, _leave)
             else 'perform pgq._capture_too_large(tg_relid, sqlerrm);' end,
        _leave,
        i_capture.queue_name, 'D:' || _w.key_text, _w.extra, 'I:' || _w.key_text,
        -- write
        pgq._capture_insert(i_capture, _w, format('pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) %L', ':' || _w.key_text), _w.backup,
                            format('case when _numbers is null then pg_catalog.nextval(%1$s) else _numbers[1] end', _w.sequence), 'exit slow;'),
        ':' || _w.key_text, case when _w.backup then '_old_data' else 'null' end,
        case i_capture.failure when 'mark'
             then format('perform pgq._capture_lost(%L, ''a trigger fires behind that of capture''); exit slow;', i_capture.function_name)
             else format('perform pgq._capture_not_last(tg_relid, %L);', i_capture.function_name) end,
        i_capture.function_name,
        case when _w.swappable
             then format(E'\n        if not pgq._capture_key_checked(tg_relid, %L) then\n            perform pgq._capture_unaltered(tg_relid);\n            %s\n        end if;', i_capture.function_name,
                         pgq._capture_refuse(i_capture, 'exit slow;', pgq._capture_unchecked(), 'object_not_in_prerequisite_state', 'Table: ' || i_table::regclass,
                                'Run: skytools londiste INI refresh-trigger TABLE (or pgq.capture_table(queue, table)), or make the key NOT DEFERRABLE.'))
             else '' end);
    return _code;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_usual(i_capture pgq.capture, i_table oid, i_words record, i_op text, i_same text)
returns text as $$
-- Statements that write the usual row of one operation, and return; a row for which they find no data falls through.
--
-- Parameters:
--      i_words     - what pgq._capture_words returned
--      i_same      - SQL: an update that may be written before it is made
declare
    _row constant text := case i_op when 'DELETE' then 'old' else 'new' end;
    _quick text := pgq._capture_encode(i_table, i_words.ignored, _row, 'quick', i_capture.chars);
    _when text;
begin
    if i_op <> 'INSERT' and not i_words.has_key then
        return E'\n        ' || pgq._capture_refuse(i_capture, format('return %s;', _row), 'Update/Delete on table without pkey',
            'object_not_in_prerequisite_state', 'Table: ' || i_table::regclass, 'Add a primary key, or give pkey=.');
    elsif _quick is null or i_op = 'UPDATE' and (i_words.ignored <> '{}' or i_words.backup or i_words.late) then
        return E'\n        null;';
    end if;
    _when := case when i_op = 'INSERT'
                  then concat_ws(' and ', 'new.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid',
                                 case when i_words.swappable then format('pgq._capture_key_checked(tg_relid, %L)', i_capture.function_name) end)
                  else concat_ws(' and ', case i_op when 'UPDATE' then i_same end, 'not ' || pgq._capture_null_key(i_table, i_words.key_columns, 'old'),
                                 -- of what is older than this transaction, nothing is still to be written
                                 format('(pg_catalog.age(old.xmin) operator(pg_catalog.>) 0%s)',
                                        -- and a row with a deferrable key must have been
                                        case when i_words.swappable then ''
                                             else format(' or pgq._capture_first(%L, tg_relid, old.ctid, %s)', i_capture.function_name, i_words.sequence) end),
                                 -- of a partition, an update may have been left to the AFTER trigger already
                                 case when pg_partition_root(i_table) is not null
                                      then format('(pg_catalog.current_setting(%L, true) operator(pg_catalog.<>) '''') is not true', 'skytools.late' || i_capture.function_name) end) end;
    return format(E'\n        _data := case when %s then %s end;', _when, _quick)
        || pgq._capture_insert(i_capture, i_words, quote_literal("left"(i_op, 1) || ':' || i_words.key_text), false, null, format('return %s;', _row));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
