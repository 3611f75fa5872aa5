-- The generic triggers pgq.logutriga, pgq.sqltriga and pgq.jsontriga: (queue [, option ...])
--
-- They differ in how ev_type and ev_data are written and in nothing else, so one text makes the three.
--
-- They run as whoever changes the table, because expressions among the options do.  All names and operators are qualified: the
-- caller's search_path must not decide what is executed, yet has to stay in force for those expressions.
do $make$
declare
    _kind text;
begin
    foreach _kind in array array['logutriga', 'sqltriga', 'jsontriga'] loop
        execute pg_catalog.replace($def$
create or replace function pgq.@KIND@()
returns trigger as $fn$
-- Trigger that writes each change of a table into a queue.
--
-- Arguments: queue, then any of  SKIP  deny  backup  ignore=COL,..  pkey=COL,..  when=EXPR
--      ev_type=EXPR  ev_data=EXPR  ev_extra1=EXPR .. ev_extra4=EXPR
-- Calls:
--      pgq.insert_event
-- Errors:
--      primary key update not allowed; Update/Delete on table without pkey; change not allowed (deny); others for
--      wrong arguments; serialization_failure when the table was altered after the snapshot was taken
declare
    _p pgq.trigger_plan%rowtype;
    _stale boolean;
    _fresh boolean := false;
    _done boolean;
    _text text;
    _key_text text;
    _types oid[];
    _new text[];
    _old text[];
    _equal boolean[];
    _same_key boolean;      -- nothing else has to be compared
    _changed boolean := false;
    _ignored boolean := false;
    _n integer;
    _row record;
    _field text;
    _value text;
    _present boolean;
    _type oid;
    _ev text[] := pg_catalog.array_fill(null::text, array[7]);     -- type, data, extra1, extra2, extra3, extra4, when
begin
    if pg_catalog.current_setting('session_replication_role') operator(pg_catalog.=) 'local' then
        return case when tg_level operator(pg_catalog.=) 'ROW' then case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end end;
    end if;
    if tg_op operator(pg_catalog.<>) 'TRUNCATE' and tg_level operator(pg_catalog.<>) 'ROW' then
        raise exception 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW'
            using errcode = 'object_not_in_prerequisite_state';
    end if;

    if tg_nargs operator(pg_catalog.=) 0 then
        raise exception 'pgq trigger must have destination queue as argument'
            using errcode = 'invalid_parameter_value';
    end if;

    if tg_op operator(pg_catalog.=) 'TRUNCATE' then
        -- versions of rows begin anew in the same places: pgq._capture_order_block()
        _text := pg_catalog.current_setting('skytools.truncated', true);
        perform pg_catalog.set_config('skytools.truncated', pg_catalog.concat(
            pg_catalog.regexp_replace(_text, pg_catalog.concat('#', tg_relid, ':[0-9]*,'), ''), '#', tg_relid, ':',
            coalesce(pg_catalog.substring(_text, pg_catalog.concat('#', tg_relid, ':([0-9]{1,9}),'))::pg_catalog.int4, 0) operator(pg_catalog.+) 1, ','), true);
    end if;

    -- The plan: kept from an earlier row as long as nothing of the table has changed.  The functions used here look
    -- into the system caches, which know of DDL that the snapshot of this transaction does not show.
    select t.* into _p
      from pgq.trigger_plan t
     where t.relid operator(pg_catalog.=) tg_relid and t.kind operator(pg_catalog.=) '@KIND@' and t.args operator(pg_catalog.=) tg_argv
       -- columns that exchanged their names; values are asked for by name, so that an old snapshot can
       -- mistake nothing but the order
       and t.cols operator(pg_catalog.=) array(select a.attname::pg_catalog.text from pg_catalog.pg_attribute a
                           where a.attrelid operator(pg_catalog.=) tg_relid and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped order by a.attnum);
    _stale := not found;
    loop
        if not _stale then
            _stale := _p.home operator(pg_catalog.<>) 'pgq.trigger_plan'::pg_catalog.regclass
                or _p.rel_name operator(pg_catalog.<>) tg_table_name or _p.rel_schema operator(pg_catalog.<>) tg_table_schema
                or pg_catalog.has_column_privilege(tg_relid, (_p.last_attnum operator(pg_catalog.+) 1)::int2, 'select') is not null
                or _p.identity_index operator(pg_catalog.<>) coalesce(pg_catalog.pg_get_replica_identity_index(tg_relid), 0::oid);
            for _i in 1 .. pg_catalog.cardinality(_p.key_names) loop
                _stale := _stale or (pg_catalog.pg_get_indexdef(_p.key_index, _i, false) operator(pg_catalog.=) _p.key_names[_i]) is not true;
            end loop;
            if _p.identity_index operator(pg_catalog.<>) _p.key_index or _p.key_index operator(pg_catalog.=) 0 then
                _stale := _stale or _p.key_index operator(pg_catalog.<>) coalesce(
                    (select x.indexrelid from pg_catalog.pg_index x where x.indrelid operator(pg_catalog.=) tg_relid and x.indisprimary), 0::oid);
            end if;
        end if;
        exit when not _stale;
        if _fresh then
            raise exception 'table %.% was altered after the snapshot of this transaction was taken',
                    pg_catalog.quote_ident(tg_table_schema), pg_catalog.quote_ident(tg_table_name)
                using errcode = 'serialization_failure',
                      hint = 'Run the transaction again.';
        end if;
        _p := pgq._trigger_plan(tg_relid, '@KIND@', tg_argv);
        _fresh := true;
        _stale := false;
    end loop;

    if tg_op operator(pg_catalog.=) 'TRUNCATE' or _p.skip or _p.deny or not _p.has_key
       or pg_catalog.current_setting('skytools.apply_token', true) operator(pg_catalog.<>) '' then
        if tg_op operator(pg_catalog.=) 'TRUNCATE' then
            if _p.truncate_error is not null then
                raise exception '%', _p.truncate_error using errcode = 'invalid_parameter_value';
            end if;
        elsif tg_op operator(pg_catalog.<>) 'INSERT' and not _p.has_key then
            raise exception 'Update/Delete on table without pkey'
                using errcode = 'object_not_in_prerequisite_state',
                      detail = pg_catalog.format('Table: %I.%I', tg_table_schema, tg_table_name),
                      hint = 'Add a primary key, or give pkey= in the trigger.';
        end if;
        if _p.skip and tg_when operator(pg_catalog.=) 'AFTER' then
            raise exception 'SKIP does not work in AFTER trigger.' using errcode = 'object_not_in_prerequisite_state';
        end if;
        if pg_catalog.current_setting('skytools.apply_token', true) operator(pg_catalog.<>) '' and pgq._apply_allowed(_p.queue) then
            -- the queue's own worker: neither denied nor logged again
            return case when tg_level operator(pg_catalog.=) 'ROW' then case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end end;
        end if;
        if _p.deny then
            raise exception 'Table ''%.%'' to queue ''%'': change not allowed (%)',
                    tg_table_schema, tg_table_name, _p.queue, tg_op
                using errcode = 'object_not_in_prerequisite_state';
        end if;
    end if;

    -- The values, as text.  Types and names are resolved anew at each execution; a mismatch means DDL.
    _done := tg_op operator(pg_catalog.=) 'TRUNCATE';
    while not _done loop
        begin
            if tg_op operator(pg_catalog.=) 'UPDATE' then
                if _p.fast_key_sql is not null and pg_catalog.current_setting('extra_float_digits')::int4 operator(pg_catalog.>) 0 then
                    execute _p.fast_key_sql into _text, _key_text using new, old;
                    _new := pg_catalog.string_to_array(_text, E'\x01');
                    _done := pg_catalog.cardinality(_new) operator(pg_catalog.=) pg_catalog.cardinality(_p.cols);
                    if _done then
                        -- keys of the same text are the same; whether others are, their type decides below
                        _text := null;
                        for _i in 1 .. pg_catalog.cardinality(_new) loop
                            if _p.is_key[_i] then
                                _done := _done and _new[_i] operator(pg_catalog.<>) '';
                                _text := pg_catalog.concat(_text operator(pg_catalog.||) E'\x01', _new[_i]);
                            end if;
                        end loop;
                        _done := _done and _text operator(pg_catalog.=) _key_text;
                    end if;
                    if _done and '' operator(pg_catalog.=) any (_new) then
                        -- a row without empty strings has no two quotes side by side in its text
                        _done := pg_catalog.strpos(pg_catalog.format('%s', new), '""') operator(pg_catalog.=) 0;
                        _new := pg_catalog.array_replace(_new, '', null);
                    end if;
                end if;
                _same_key := _done;
                if not _done then
                    execute _p.update_sql into _types, _new, _old, _equal using new, old;
                    _done := _types operator(pg_catalog.=) _p.types;
                end if;
            else
                if tg_op operator(pg_catalog.=) 'DELETE' then
                    _row := old;
                else
                    _row := new;
                end if;
                if _p.fast_sql is not null then
                    execute _p.fast_sql into _text using _row;
                    _new := pg_catalog.string_to_array(_text, E'\x01');
                    _done := pg_catalog.cardinality(_new) operator(pg_catalog.=) pg_catalog.cardinality(_p.cols);
                    if _done and '' operator(pg_catalog.=) any (_new) then
                        _done := pg_catalog.strpos(pg_catalog.format('%s', _row), '""') operator(pg_catalog.=) 0;
                        _new := pg_catalog.array_replace(_new, '', null);
                    end if;
                end if;
                if not _done then
                    execute _p.row_sql into _types, _new using _row;
                    _done := _types operator(pg_catalog.=) _p.types;
                end if;
            end if;
        exception
            -- the last where a text has become an array
            when undefined_column or undefined_function or undefined_object or datatype_mismatch or invalid_text_representation then
                if _fresh and pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed' then
                    raise;
                end if;
                _done := false;
            when program_limit_exceeded then
                raise exception 'changes of table %.% cannot be logged: a row larger than 1 GB',
                        pg_catalog.quote_ident(tg_table_schema), pg_catalog.quote_ident(tg_table_name)
                    using errcode = 'program_limit_exceeded', detail = sqlerrm;
        end;
        exit when _done;
        if _fresh then
            raise exception 'table %.% was altered after the snapshot of this transaction was taken',
                    pg_catalog.quote_ident(tg_table_schema), pg_catalog.quote_ident(tg_table_name)
                using errcode = 'serialization_failure',
                      hint = 'Run the transaction again.';
        end if;
        _p := pgq._trigger_plan(tg_relid, '@KIND@', tg_argv);
        _fresh := true;
    end loop;

    if tg_op operator(pg_catalog.=) 'UPDATE' and not _same_key then
        for _i in 1 .. pg_catalog.cardinality(_new) loop
            if _p.compare or _p.is_key[_i] then
                if _equal[_i] is null then      -- a null, or a type without an equality
                    _equal[_i] := case when _new[_i] is null or _old[_i] is null then _new[_i] is null and _old[_i] is null
                                       else _new[_i] operator(pg_catalog.=) _old[_i] end;
                end if;
                if not _equal[_i] then
                    if _p.is_key[_i] then
                        raise exception 'primary key update not allowed'
                            using errcode = 'feature_not_supported',
                                  detail = pg_catalog.format('Table: %I.%I', tg_table_schema, tg_table_name),
                                  hint = 'Delete the row and insert it with the other key. Generated capture (pgq.capture_table, form=row) logs it like that by itself.';
                    elsif _p.role[_i] operator(pg_catalog.=) 'd' then
                        _changed := true;
                    else
                        _ignored := true;
                    end if;
                end if;
            end if;
        end loop;
        if _ignored and not _changed then
            return case when tg_when operator(pg_catalog.<>) 'AFTER' and not _p.skip then new end;
        end if;
    end if;

    -- The event.
    if '@KIND@' operator(pg_catalog.=) 'jsontriga' then
        _ev[1] := '{"op":"' operator(pg_catalog.||) tg_op operator(pg_catalog.||) '","table":['
               operator(pg_catalog.||) pg_catalog.textin(pg_catalog.json_out(pg_catalog.to_json(tg_table_schema::pg_catalog.text))) operator(pg_catalog.||) ','
               operator(pg_catalog.||) pg_catalog.textin(pg_catalog.json_out(pg_catalog.to_json(tg_table_name::pg_catalog.text)))
               operator(pg_catalog.||) '],"pkey":' operator(pg_catalog.||) _p.key_text operator(pg_catalog.||) '}';
        _ev[2] := case when tg_op operator(pg_catalog.=) 'TRUNCATE' then '{}' else pgq._trigger_json(_p, _new) end;
    elsif tg_op operator(pg_catalog.=) 'TRUNCATE' then
        _ev[1] := 'R';
        _ev[2] := '';
    elsif '@KIND@' operator(pg_catalog.=) 'logutriga' then
        _ev[1] := pg_catalog."left"(tg_op, 1) operator(pg_catalog.||) ':' operator(pg_catalog.||) _p.key_text;
        _ev[2] := pgq._trigger_urlenc(_p.pairs, _p.label, _p.role, _new);
    else
        _ev[1] := pg_catalog."left"(tg_op, 1);
        _ev[2] := pgq._trigger_sql(_p, tg_op, _new, _old, _equal);
    end if;
    _ev[3] := _p.table_text;
    if _p.backup and tg_op operator(pg_catalog.=) 'UPDATE' then
        _ev[4] := case when '@KIND@' operator(pg_catalog.=) 'jsontriga' then pgq._trigger_json(_p, _old)
                                else pgq._trigger_urlenc(_p.pairs, _p.label, _p.role, _old) end;
    end if;

    if 'm' operator(pg_catalog.=) any (_p.role) and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
        for _i in 1 .. pg_catalog.cardinality(_new) loop
            if _p.role[_i] operator(pg_catalog.=) 'm' then
                _ev[pg_catalog.array_position('{_pgq_ev_type,_pgq_ev_data,_pgq_ev_extra1,_pgq_ev_extra2,_pgq_ev_extra3,_pgq_ev_extra4}',
                                              _p.cols[_i])] := _new[_i];
            end if;
        end loop;
    end if;

    for _i in 1 .. pg_catalog.cardinality(_p.over_field) loop
        _field := _p.over_field[_i];
        if _p.over_sql[_i] is null then
            _value := _p.over_const[_i];
            _type := case when _value is null then 0 else 'text'::pg_catalog.regtype end;
        else
            if tg_op operator(pg_catalog.=) 'DELETE' then
                execute _p.over_sql[_i] into _value, _present, _type using old;
            else
                execute _p.over_sql[_i] into _value, _present, _type using new;
            end if;
            get diagnostics _n = row_count;
            if _n operator(pg_catalog.<>) 1 then
                raise exception 'Expect 1 row from override query, got %', _n using errcode = 'cardinality_violation';
            end if;
            if not _present then
                _value := null;
            end if;
        end if;
        if _field operator(pg_catalog.=) 'when' then
            if _type operator(pg_catalog.<>) 'bool'::pg_catalog.regtype then
                raise exception 'when= query result must be boolean, got=%', _type using errcode = 'datatype_mismatch';
            elsif _value is null then
                raise exception 'when= should not be NULL' using errcode = 'null_value_not_allowed';
            elsif _value operator(pg_catalog.<>) 't' then
                return case when tg_when operator(pg_catalog.<>) 'AFTER' and not _p.skip then case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end end;
            end if;
        else
            _ev[pg_catalog.array_position('{ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,ev_extra4}', _field)] := _value;
        end if;
    end loop;

    -- where the event has, or may have, a number already
    if tg_when operator(pg_catalog.=) 'AFTER' and tg_level operator(pg_catalog.=) 'ROW'
       and (case when tg_op operator(pg_catalog.=) 'INSERT' then new.xmax operator(pg_catalog.<>) '0'::pg_catalog.xid
                 else pg_catalog.starts_with(tg_name, '!') end) then
        perform pgq._trigger_event(_p.queue, pgq._trigger_which('@KIND@', tg_argv), tg_relid, case when tg_op operator(pg_catalog.=) 'INSERT' then new.ctid else old.ctid end, tg_op,
                                   _ev[1], _ev[2], _ev[3], _ev[4], _ev[5], _ev[6]);
    else
        perform pgq.insert_event(_p.queue, _ev[1], _ev[2], _ev[3], _ev[4], _ev[5], _ev[6]);
    end if;

    if tg_level operator(pg_catalog.=) 'ROW' and tg_when operator(pg_catalog.<>) 'AFTER' and not _p.skip then
        return case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end;
    end if;
    return null;
end;
$fn$ language plpgsql;
$def$, '@KIND@', _kind);
    end loop;
end;
$make$;
