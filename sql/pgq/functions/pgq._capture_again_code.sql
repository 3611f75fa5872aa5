create or replace function pgq._capture_again_code(
    i_capture pgq.capture, i_table oid, i_words record,
    out same text, out takes text, out asked text, out again text)
as $$
-- Writes the pieces of generated code that keep changes in order which take unique values of others: docs/how-capture-works.md.
--
-- Returns:
--      same        - SQL: OLD and NEW have the same unique values besides the key, or others have been looked for; null if there are none
--      takes       - SQL, true: notes that NEW may have taken some
--      asked       - for pgq._capture_state()
--      again       - statements for a change that has not been written in the quick way; they go round the loop once where it can be
declare
    _a record := pgq._capture_again(i_capture, i_table, i_words, 'old', 'capture._self', 'capture._command');
    _taking text := pgq._capture_taking(i_capture.function_name);
    _inside text := pgq._capture_inside(i_capture.function_name);
    _key text := pgq._capture_some(i_table, i_words.key_columns, 'old');
    -- of a row that was locked, or changed in a savepoint that is gone, the command is not to be known
    _known text := '(case when new.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid then new.cmin::pg_catalog.text else ''4294967295'' end)';
    _note text := format('pg_catalog.set_config(%L, %s, true) is not null', _taking, _known);
    _highest text := format('case when pg_catalog.concat(''0'', pg_catalog.current_setting(%L, true))::pg_catalog.int8 operator(pg_catalog.<) %s::pg_catalog.int8'
                            ' then pg_catalog.set_config(%L, %s, true) is not null else true end', _inside, _known, _inside, _known);
    _look text;
    _careful text := pgq._capture_enter(i_words.needs);
begin
    if _a.find is null then
        takes := 'true';
        asked := '';
        again := '';
        return;
    end if;
    same := '(' || _a.same || ' or _taken is not null)';
    -- where only a scan of the table finds who has taken a value, not each insert is a reason to
    takes := format('case when pg_catalog.pg_trigger_depth() operator(pg_catalog.<=) 1 then %s else %s and %s end', case when _a.indexed then _note else 'true' end, _note, _highest);
    asked := format($code$
        when tg_op operator(pg_catalog.=) 'DELETE'
             and pg_catalog.concat(pg_catalog.current_setting(%L, true), pg_catalog.current_setting(%L, true)) operator(pg_catalog.<>) '' then -4$code$, _taking, _inside);

    _look := format($code$
                -- a plan from when the table was small would scan it
                _scans := pg_catalog.current_setting('enable_seqscan');
                perform pg_catalog.set_config('enable_seqscan', 'off', true);
                for _key, _held, _row, _wrote in %s loop
                    _taken := _taken operator(pg_catalog.||) pgq._capture_take_back(%L, %s, %L, _key, _held, _row, _wrote, _taken);
                end loop;
                perform pg_catalog.set_config('enable_seqscan', _scans, true);$code$,
        _a.find, i_words.prefix, i_words.extra, i_words.key_text);
    if not _a.certain then
        _look := format($code$
                begin%s
                exception when ambiguous_function or undefined_function or invalid_schema_name or insufficient_privilege then
                    -- a type has got an implicit cast meanwhile, or its extension was moved
                    _taken := _taken operator(pg_catalog.||) pgq._capture_used_again(%L, %L, tg_relid, old, _own, _self, %s);
                    perform pgq._capture_heal(%L, %L, tg_relid);
                end;$code$, _look, i_capture.queue_name, i_capture.function_name, i_words.extra, i_capture.queue_name, i_capture.function_name);
    end if;
    if exists (select 1 from pgq._capture_expressions(i_table, i_words.ignored)) then
        _look := _look || format($code$
                _taken := _taken operator(pg_catalog.||) pgq._capture_again_by_expressions(%L, %L, tg_relid, old, _self, _command, %s, _taken);$code$,
            i_capture.queue_name, i_capture.function_name, i_words.extra);
    end if;
    again := format($code$
    -- what others have taken of the row's unique values, later than it left them, and was logged before
    if _taken is null then
    <<capture>>     -- columns may be called as variables are
    declare
        _frees pg_catalog.bool;
        _last pg_catalog.int8;
        _inside pg_catalog.int8;
        _written pg_catalog.int8;
        _own pg_catalog.bool;
        _same_key pg_catalog.bool;
        _self pg_catalog.tid;
        _command pg_catalog.cid;
        _scans pg_catalog.text;
        _key pg_catalog.text;
        _held pg_catalog.text[];
        _row pg_catalog.text;
        _wrote pg_catalog.int8;
    begin
        _taken := '{}';
        -- What has been logged since a change was made is of later commands; or of its own, whose changes are in order.  After an insert by
        -- a trigger there may have been one of the change's own command.
        _last := case when pg_catalog.current_setting(%1$L, true) operator(pg_catalog.<>) '' then pg_catalog.current_setting(%1$L, true)::pg_catalog.int8 else -1 end;
        _inside := case when pg_catalog.current_setting(%5$L, true) operator(pg_catalog.<>) '' then pg_catalog.current_setting(%5$L, true)::pg_catalog.int8 else -1 end;
        if tg_op operator(pg_catalog.=) 'INSERT' then
            _frees := not %2$s;
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            _same_key := %3$s;
            _frees := not _same_key or not (%15$s);
            _self := new.ctid;
            _command := case when new.xmax operator(pg_catalog.=) '0'::pg_catalog.xid then new.cmin end;
            _written := coalesce(_command::pg_catalog.text::pg_catalog.int8, -1);
            perform 1 where _frees and %16$s;
        else
            -- of a row that this transaction has written itself it is not to be known when it was deleted
            _frees := _last operator(pg_catalog.>=) 0 or _inside operator(pg_catalog.>=) 0;
            _own := case when _frees then pgq._capture_own(old.xmin) end;
            _written := case when not _own then old.cmax::pg_catalog.text::pg_catalog.int8 when _inside operator(pg_catalog.>=) 0 then -1 end;
        end if;
        if _frees and %14$s and pgq._capture_may_read(tg_relid) then%4$s
            _own := coalesce(_own, pgq._capture_own(old.xmin));
            if _last operator(pg_catalog.>) _written or _inside operator(pg_catalog.>) _written then
                _taken := pgq._capture_overtaken(%6$L, %7$s, %8$L, %9$s, %10$s, %11$s, _own);
            end if;%12$s
        end if;
        if _taken operator(pg_catalog.<>) '{}' then
            _state := -3;
        elsif _state operator(pg_catalog.=) -4 then
            _state := pg_catalog.pg_sequence_last_value(%13$L);
            continue;
        elsif _state operator(pg_catalog.>=) 0 and _frees and _same_key then
            continue;
        end if;
    end;
    end if;
$code$, _taking, takes, coalesce(i_words.same_key, 'true'), coalesce(E'\n            if _state operator(pg_catalog.=) -3 then ' || nullif(_careful, '') || ' end if;', ''), _inside,
        i_words.prefix, i_words.extra, i_words.key_text, _key, pgq._capture_encode(i_table, i_words.ignored, 'old', 'careful'), _a.freed, _look,
        i_words.prefix || '_state_seq',
        -- two rows may have a postponed value for a while: the other may have taken it earlier
        case when _a.postponed then '(_last operator(pg_catalog.>=) 0 or _inside operator(pg_catalog.>=) 0)'
             else '(_last operator(pg_catalog.>=) _written or _inside operator(pg_catalog.>) _written or _written is null)' end,
        coalesce(_a.same, 'true'), _highest);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
