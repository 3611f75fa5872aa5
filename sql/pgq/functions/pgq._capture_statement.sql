-- Capture by statement: one event for each row of the transition tables, written by one INSERT for each statement.
-- docs/how-capture-works.md says what it is good for, and what it refuses.

create or replace function pgq._capture_open()
returns trigger as $$
-- Notes that a statement on a table captured by statement has begun; the capture's own trigger notes its end.
--
-- What a statement inside another one changes would be logged before the changes of the outer one, and an INSERT and an UPDATE of
-- one statement have no order at all.  No order of events repeats that, so it is refused.  (The updates of a foreign key with ON UPDATE
-- CASCADE run as part of the statement that fires them; those are found by pgq._capture_keys_twice().)
--
-- The setting's name has a secret in it (pgq._capture_order.sql); SECURITY DEFINER for that.
--
-- Errors:
--      those of pgq._capture_nested
declare
    _secret text;
    _setting text;
    _done text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, concat('open_', tg_relid, '_', md5(tg_argv[0])));
    if current_setting(_setting, true) <> '' then
        perform pgq._capture_nested(tg_relid);
    end if;
    _done := set_config(_setting, '1', true);
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_close(i_table oid, i_queue text)
returns void as $$
-- The end of what pgq._capture_open() has noted.
--
-- Errors:
--      those of pgq._capture_meddled: RESET ALL has cleared the note, and nobody knows whether another statement has ended inside of this one
declare
    _secret text;
    _setting text;
    _done text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, concat('open_', i_table, '_', md5(i_queue)));
    if (current_setting(_setting, true) <> '') is not true
       -- somebody may have put the trigger on a table of his own, without those that belong to it
       and exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgfoid = 'pgq._capture_open()'::regprocedure and t.tgenabled in ('O', 'A')) then
        perform pgq._capture_meddled(i_table);
    end if;
    _done := set_config(_setting, '', true);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_inherited(i_table regclass)
returns boolean as $$
-- Whether a table has children: what is changed in them through it is in the transition tables, too.
begin
    return exists (select 1 from pg_inherits h where h.inhparent = i_table);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_inherited_planned(i_table regclass)
returns boolean as $$
-- The same for expressions.  Called immutable for the reason that pgq._capture_intact is: a new child makes plans anew.
begin
    return pgq._capture_inherited(i_table);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_nested(i_table oid)
returns boolean as $$
-- Errors:
--      feature_not_supported
begin
    raise exception 'statement on table % inside of another one on it: its capture by statement cannot log them in order', i_table::pg_catalog.regclass
        using errcode = 'feature_not_supported',
              detail = 'Triggers, functions and foreign keys that change the table, ON CONFLICT DO UPDATE, MERGE with several actions, and WITH with several changes of it are refused.',
              hint = 'Capture the table by row: skytools londiste INI refresh-trigger TABLE --trigger-form=row (or pgq.capture_table(queue, table)).';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_key_values(i_table oid, i_columns text[])
returns text[] as $$
-- SQL of the values of a key, of rows k: equal when their texts are, and comparable without operators of others.
    select array_agg(case when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype)
                          then format('pgq._capture_plain(k.%s)', c.ident)
                          when c.name <> all (pgq._capture_never_null(i_table))
                          then format('case when k.%1$s is distinct from null then pg_catalog.format(''%%s'', k.%1$s) collate pg_catalog."C" end', c.ident)
                          else format('pg_catalog.format(''%%s'', k.%s) collate pg_catalog."C"', c.ident) end order by c.nr)
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name = any (i_columns);
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_keys_twice(i_table oid, i_columns text[])
returns text as $$
-- SQL: an UPDATE that changes keys has changed a row twice, by transition tables old_rows and new_rows.
--
-- That is how foreign keys of the table onto itself look (ON UPDATE CASCADE): what they update is in the same transition tables.  Where keys
-- stay as they are, the updates are logged in the order in which they were made.
declare
    _key text := array_to_string(pgq._capture_key_values(i_table, i_columns), ', ');
begin
    return format('(exists (select from new_rows k group by %1$s having pg_catalog.count(*) operator(pg_catalog.>) 1)'
                  ' or exists (select from old_rows k group by %1$s having pg_catalog.count(*) operator(pg_catalog.>) 1))', _key);
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_rows(i_capture pgq.capture, i_table oid, i_op text, i_key_changed boolean)
returns text as $$
-- Writes the SELECT of the events (type, data) of one statement, from transition tables old_rows and new_rows.
--
-- Parameters:
--      i_key_changed   - of an update: keys may have changed; deletes come first, inserts last.  Where rows exclude each other by more than their
--                        keys, nobody knows in which order other values went from row to row: all are deleted, then all inserted
declare
    _w record := pgq._capture_words(i_capture, i_table);
    _data text;
    _same text;
begin
    _data := 'coalesce(' || concat_ws(', ', pgq._capture_encode(i_table, '{}', 'n', 'quick', i_capture.chars),
                                      'pgq._capture_rest(' || pgq._capture_encode(i_table, '{}', 'n', 'chain') || ')',
                                      pgq._capture_encode(i_table, '{}', 'n', 'careful')) || ')';
    if not i_key_changed then
        return format('select %L as type, %s as data from %s n', "left"(i_op, 1) || ':' || _w.key_text, _data,
                      case i_op when 'DELETE' then 'old_rows' else 'new_rows' end);
    end if;
    select string_agg(format('pg_catalog.format(''%%s'', n.%1$s) collate pg_catalog."C" operator(pg_catalog.=) pg_catalog.format(''%%s'', o.%1$s) collate pg_catalog."C"', c.ident)
                      || case when c.name <> all (pgq._capture_never_null(i_table))
                              then format(' and (n.%1$s is distinct from null) operator(pg_catalog.=) (o.%1$s is distinct from null)', c.ident) else '' end, ' and ')
      into _same
      from pgq._capture_columns(i_table, '{}') c where c.name = any (_w.key_columns);
    if _w.same_claims is not null then
        return format($code$select k.type, k.data
      from (select 1 as step, pg_catalog.row_number() over () as nr, %1$L as type, %2$s as data from old_rows n where %5$s
            union all
            select 2, pg_catalog.row_number() over (), case when %5$s then %3$L else %4$L end, %2$s from new_rows n) k
     order by k.step, k.nr$code$,
            'D:' || _w.key_text, _data, 'I:' || _w.key_text, 'U:' || _w.key_text, '(select ' || pgq._capture_keys_changed(i_table, _w.key_columns) || ')');
    end if;
    return format($code$select k.type, k.data
      from (select 1 as step, %L as type, %s as data from old_rows n where not exists (select from new_rows o where %s)
            union all
            select case when o.has is null then 3 else 2 end, case when o.has is null then %L else %L end, %s
              from new_rows n left join lateral (select 1 as has from old_rows o where %s) o on true) k
     order by k.step$code$,
        'D:' || _w.key_text, _data, _same, 'I:' || _w.key_text, 'U:' || _w.key_text, _data, _same);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_keys_changed(i_table oid, i_columns text[])
returns text as $$
-- SQL: an UPDATE has changed a key, by transition tables old_rows and new_rows.
--
-- Both hold the rows in the order in which they were updated, so equal sequences of keys are unchanged keys.  Comparing sequences is
-- faster than comparing sets, but takes memory for the whole statement: beyond a million rows it is sets.
declare
    _values text[] := pgq._capture_key_values(i_table, i_columns);
    _sequence text := (select string_agg('pg_catalog.array_agg(' || v || ')', ', ' order by nr) from unnest(_values) with ordinality u (v, nr));
    _set text := array_to_string(_values, ', ');
begin
    return format('(case when (select pg_catalog.count(*) from (select from old_rows limit 1000001) c) operator(pg_catalog.<=) 1000000'
                  ' then exists (select %1$s from old_rows k except select %1$s from new_rows k)'
                  ' else exists (select %2$s from old_rows k except select %2$s from new_rows k) end)', _sequence, _set);
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_insert_rows(i_capture pgq.capture, i_table oid, i_op text, i_key_changed boolean)
returns text as $$
-- Statements that write the events of one statement into the table that _state names.
declare
    _w record := pgq._capture_words(i_capture, i_table);
    _rows text := pgq._capture_rows(i_capture, i_table, i_op, i_key_changed);
    _raw text := format('perform pgq._capture_event(%L, null, r.type, r.data, %s, null) from (%s) r;', i_capture.queue_name, _w.extra, _rows);
    _code text := '';
begin
    for _n in 0 .. _w.tables - 1 loop
        _code := _code || format(E'%s _state operator(pg_catalog.=) %s then\n    insert into %s (ev_time, ev_type, ev_data, ev_extra1)\n        select pg_catalog.now(), r.type, r.data, %s from (%s) r;\n',
            case _n when 0 then 'if' else 'elsif' end, 2 * _n, pgq.quote_fqname(_w.prefix || '_' || _n::text), _w.extra, _rows);
    end loop;
    return case when _code = '' then _raw else _code || E'else\n    ' || _raw || E'\nend if;' end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_statement_code(i_capture pgq.capture, i_table oid)
returns text as $$
-- Writes the body of the trigger function that captures the statements on one table.  What pgq._capture_row_code says holds here as well.
--
-- Errors:
--      those of pgq._trigger_options; names that the event format cannot carry
declare
    _w record := pgq._capture_words(i_capture, i_table);
    _leave text := pgq._capture_leave(_w.needs);
    _done text := _leave || ' return null;';
    _lost text := case i_capture.failure when 'mark' then format('perform pgq._capture_lost(%L, sqlerrm);', i_capture.function_name) end;
    _no_key text := '';
    _null_key text := pgq._capture_null_key(i_table, _w.key_columns, 'k');
    _update text;
    _altered text;
begin
    if not _w.has_key then
        _no_key := format(E'if exists (select from old_rows) then\n            %s\n        end if;',
                          pgq._capture_refuse(i_capture, _done, 'Update/Delete on table without pkey', 'object_not_in_prerequisite_state', 'Table: ' || i_table::regclass, 'Add a primary key, or give pkey=.'));
        _update := _no_key;
    elsif _w.swappable then
        -- what the statements before have inserted may have the keys of these rows
        _no_key := format(E'if exists (select from old_rows) then\n            %s\n        end if;',
                          pgq._capture_refuse(i_capture, _done, 'update and delete not allowed: the key is deferrable', 'feature_not_supported', 'Table: ' || i_table::regclass,
                                              'Two rows may have such a key for a while, and events tell rows by nothing else. Make it NOT DEFERRABLE, or capture the table by row.'));
        _update := _no_key;
    else
        _update := format(E'if %s then\n%s\nelse\n%s\nend if;',
            pgq._capture_keys_changed(i_table, _w.key_columns),
            format(E'if %s then\n    perform pgq._capture_nested(tg_relid);\nend if;\n'
                   'perform pg_catalog.set_config(''enable_nestloop'', ''off'', true);\n%s\nperform pg_catalog.set_config(''enable_nestloop'', _plans, true);',
                   pgq._capture_keys_twice(i_table, _w.key_columns),
                   pgq._capture_insert_rows(i_capture, i_table, 'UPDATE', true)),
            pgq._capture_insert_rows(i_capture, i_table, 'UPDATE', false));
    end if;
    if _no_key = '' and _null_key is not null then
        _null_key := format(E'if exists (select from old_rows k where %s) then\n            %s\n        end if;\n        ', _null_key,
            case when _lost is null then 'perform pgq._capture_null_refused(tg_relid);'
                 else format('perform pgq._capture_lost(%L, ''the key of a row is null''); %s', i_capture.function_name, _done) end);
        _update := _null_key || _update;
    else
        _null_key := null;
    end if;
    _altered := format('execute pgq._capture_altered(%L, %L, tg_relid, tg_op);', i_capture.queue_name, i_capture.function_name);
    if _lost is not null then
        _altered := format(E'begin\n            %s\n        exception when others then\n            if not pgq._capture_may_be_lost(sqlstate, sqlerrm) then\n                raise;\n            end if;\n            %s perform pgq._capture_settings(_settings); return null;\n        end;',
                           _altered, _lost);
    end if;

    return format($code$
-- Generated by pgq.capture_table() for the statements on table %s, queue %s.
-- _state: what the sequence of the queue says;  -1 nothing to do;  -2 the table was altered;  -3 with care;  -5 may be altered, behind what the snapshot shows
declare
    _state pg_catalog.int8 := %s;
    _style pg_catalog.text;
    _plans pg_catalog.text := pg_catalog.current_setting('enable_nestloop');
    _settings pg_catalog.text[];
    _any pg_catalog.bool;
begin
    perform pgq._capture_close(tg_relid, %L);
    if _state operator(pg_catalog.=) -1 then
        return null;
    elsif _state operator(pg_catalog.=) -2 then
        if tg_op operator(pg_catalog.=) 'INSERT' then
            _any := exists (select from new_rows);
        else
            _any := exists (select from old_rows);
        end if;
        if _any then
            _settings := pgq._capture_settings(null);
            %s
            perform pgq._capture_settings(_settings);
            perform pgq._capture_heal(%L, %L, tg_relid);
        end if;
        return null;
    elsif _state operator(pg_catalog.<) 0 then
        if _state operator(pg_catalog.=) -5 then
            perform pgq._capture_unaltered(tg_relid, true);
        end if;
        %s
        _state := pg_catalog.pg_sequence_last_value(%L);
    end if;
    begin
        if tg_op operator(pg_catalog.=) 'INSERT' then
            %s
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            %s
        else
            %s
        end if;
    exception when program_limit_exceeded or out_of_memory or internal_error then
        if sqlstate operator(pg_catalog.=) 'XX000' and pg_catalog.strpos(sqlerrm, 'invalid memory alloc request size') operator(pg_catalog.=) 0 then
            raise;
        end if;
        %s
    end;
    if pg_catalog.pg_sequence_last_value(%L) operator(pg_catalog.<>) _state then
        perform pgq._assert_still_open(%L, %L);
    end if;
    %s
    return null;
end;
$code$,
        replace(replace(_w.full_name, E'\n', ' '), E'\r', ' '), replace(replace(i_capture.queue_name, E'\n', ' '), E'\r', ' '),
        pgq._capture_state(i_capture, i_table, _w), i_capture.queue_name,
        _altered, i_capture.queue_name, i_capture.function_name, pgq._capture_enter(_w.needs), _w.prefix || '_state_seq',
        pgq._capture_insert_rows(i_capture, i_table, 'INSERT', false), _update,
        coalesce(nullif(_no_key, ''), concat(_null_key, pgq._capture_insert_rows(i_capture, i_table, 'DELETE', false))),
        coalesce(_lost || ' ' || _leave || ' return null;', 'perform pgq._capture_too_large(tg_relid, sqlerrm);'),
        _w.prefix || '_state_seq', i_capture.queue_name, _w.prefix, _leave);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_settings(i_settings text[])
returns text[] as $$
-- Sets what the text of values depends on: to the canonical settings (null), or back to what this returned.
declare
    _names constant text[] := '{DateStyle,IntervalStyle,extra_float_digits,bytea_output,lc_monetary,quote_all_identifiers,search_path}';
    _before text[] := array(select pg_catalog.current_setting(n) from pg_catalog.unnest(_names) with ordinality u (n, nr) order by nr);
begin
    for _n in 1 .. pg_catalog.cardinality(_names) loop
        perform pg_catalog.set_config(_names[_n], case when i_settings is null then pgq._capture_canonical(_names[_n]) else i_settings[_n] end, true);
    end loop;
    return _before;
end;
$$ language plpgsql;

create or replace function pgq._capture_altered(i_queue text, i_function name, i_table oid, i_op text)
returns text as $$
-- For a statement on a table that is no longer what the code was written for: the statement that writes its events.
--
-- Errors:
--      those of pgq._capture_plan and pgq._capture_null_refused
--      feature_not_supported: the key is deferrable; the table has children
--      serialization_failure: the snapshot does not show that the table is captured
--      object_not_in_prerequisite_state: nothing is registered, as after the restore of a dump without data
declare
    _c pgq.capture%rowtype;
    _w record;
    _null_key text;
    _refusals text;
begin
    select * into _c from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    if not found and current_setting('transaction_isolation') !~ '^read ' then
        raise exception 'capture was put on table % after the snapshot of this transaction was taken', i_table::regclass
            using errcode = 'serialization_failure', hint = 'Run the transaction again.';
    elsif not found then
        raise exception 'table % was altered, and its capture by function pgq.% is not registered', i_table::regclass, i_function
            using errcode = 'object_not_in_prerequisite_state', hint = 'Put it on again: "skytools verify --repair", or pgq.capture_table().';
    end if;
    if pgq._capture_inherited(i_table) then
        raise exception 'table % is inherited: its capture by statement cannot tell its rows from those of its children', i_table::regclass
            using errcode = 'feature_not_supported',
                  hint = 'Capture the table by row: skytools londiste INI refresh-trigger TABLE --trigger-form=row (or pgq.capture_table(queue, table)).';
    end if;
    perform pgq._capture_plan(i_queue, _c.options, i_table, i_op);
    _w := pgq._capture_words(_c, i_table);
    if _w.swappable and i_op <> 'INSERT' then
        raise exception 'update and delete not allowed: the key is deferrable'
            using errcode = 'feature_not_supported', detail = 'Table: ' || i_table::regclass,
                  hint = 'Two rows may have such a key for a while, and events tell rows by nothing else. Make it NOT DEFERRABLE, or capture the table by row.';
    end if;
    _null_key := case when i_op <> 'INSERT' then pgq._capture_null_key(i_table, _w.key_columns, 'k') end;
    _refusals := concat_ws(' and ',
        'not case when exists (select from old_rows k where ' || _null_key || format(') then pgq._capture_null_refused(%L::pg_catalog.regclass) else false end', i_table),
        case i_op when 'UPDATE' then format('not case when %s then pgq._capture_nested(%L::pg_catalog.regclass) else false end',
                                            pgq._capture_keys_twice(i_table, _w.key_columns), i_table) end);
    return format('select pgq._capture_event(%L, null, r.type, r.data, %s, null) from (%s) r', i_queue, _w.extra, pgq._capture_rows(_c, i_table, i_op, i_op = 'UPDATE'))
        || coalesce(' where ' || nullif(_refusals, ''), '');
end;
$$ language plpgsql
   set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on set quote_all_identifiers = off;
