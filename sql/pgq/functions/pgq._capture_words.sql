-- The pieces of which pgq._capture_code() and pgq._capture_statement_code() are made.

create or replace function pgq._capture_words(
    i_capture pgq.capture, i_table oid,
    out prefix text, out tables int4, out has_key boolean, out key_text text, out full_name text, out extra text,
    out ignored text[], out backup boolean, out swappable boolean, out needs text[],
    out key_columns text[], out same_key text, out same_claims text, out same_ignored text, out late boolean, out sequence text, out plan pgq.trigger_plan)
as $$
-- What the code of one captured table is about.
--
-- Returns:
--      prefix          - of the names of the queue's event tables
--      tables          - how many of them code may write; 0 when inserts are counted
--      key_text        - columns of the key, as they stand in the type of events
--      extra           - SQL of ev_extra1
--      swappable       - two rows may exchange their keys: the key is deferrable
--      needs           - settings that text depends on
--      same_key        - SQL: OLD and NEW have one key; null without key
--      same_claims     - SQL: OLD and NEW are equal in other columns of pgq._capture_claims(); null without such columns
--      same_ignored    - SQL: OLD and NEW are equal in the ignored columns; null without such columns
--      late            - NEW is not complete before the row is changed: columns are generated
--      sequence        - SQL, regclass: numbers of events
--      plan            - what the generic trigger keeps about the table
-- Errors:
--      No such queue; those of pgq._trigger_options and pgq._trigger_plan
declare
    _q pgq.queue%rowtype;
    _o record;
    _p pgq.trigger_plan%rowtype;
    _claims constant text[] := pgq._capture_claims(i_table);
begin
    select * into _q from pgq.queue q where q.queue_name = i_capture.queue_name;
    if not found then
        raise exception 'No such queue' using errcode = 'undefined_object', detail = 'Queue: ' || i_capture.queue_name;
    end if;
    _o := pgq._trigger_options(i_capture.queue_name || i_capture.options);
    _p := pgq._trigger_plan(i_table, 'logutriga', i_capture.queue_name || i_capture.options);
    prefix := _q.queue_data_pfx;
    tables := case when coalesce(_q.queue_per_tx_limit, -1) < 0 then _q.queue_ntables else 0 end;
    has_key := _p.has_key;
    key_text := _p.key_text;
    plan := _p;
    full_name := _p.rel_schema || '.' || _p.rel_name;
    extra := quote_literal(coalesce(pgq._capture_constant(i_capture.options, 'ev_extra1'), _p.table_text));
    ignored := array(select btrim(i) from unnest(string_to_array(_o.ignored, ',')) i);
    backup := _o.backup;
    needs := array(select distinct n from pgq._capture_columns(i_table, ignored) k, unnest(k.needs) n where not k.ignored order by n);
    key_columns := array(select c from unnest(_p.cols, _p.is_key) u (c, is_key) where is_key);
    swappable := pgq._capture_swappable(i_table, key_columns);
    select string_agg(pgq._capture_unchanged(a.atttypid, c.ident, c.name = any (pgq._capture_never_null(i_table))), ' and ' order by c.nr)
      into same_key
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name = any (key_columns);
    select string_agg(pgq._capture_unchanged(a.atttypid, c.ident, false), ' and ' order by c.nr)
      into same_claims
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name = any (_claims) and c.name <> all (key_columns);
    late := exists (select 1 from pg_attribute a where a.attrelid = i_table and a.attgenerated = 's' and not a.attisdropped and a.attname <> all (ignored));
    sequence := format('%L::pg_catalog.regclass', _q.queue_event_seq);
    select string_agg(pgq._capture_unchanged(a.atttypid, k.ident, false), ' and ' order by k.nr)
      into same_ignored
      from pgq._capture_columns(i_table, ignored) k join pg_attribute a on a.attrelid = i_table and a.attname = k.name
     where k.ignored;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_unchanged(i_type oid, i_ident text, i_present boolean)
returns text as $$
-- SQL that is true where OLD and NEW have the same text in a column, and false where not.
--
-- Parameters:
--      i_present   - it holds no null
    select case
        when i_present and i_type in ('int4'::regtype, 'int8'::regtype, 'uuid'::regtype)
        then format('pgq._capture_plain(new.%1$s) operator(pg_catalog.=) pgq._capture_plain(old.%1$s)', i_ident)
        else format('pg_catalog.format(''%%s'', new.%1$s) collate pg_catalog."C" operator(pg_catalog.=) pg_catalog.format(''%%s'', old.%1$s)', i_ident)
             || case when i_present then '' else format(' and (new.%1$s is distinct from null) operator(pg_catalog.=) (old.%1$s is distinct from null)', i_ident) end
        end;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_null_key(i_table oid, i_key text[], i_row text)
returns text as $$
-- SQL: a row has a null in its key, by which nobody finds it (pkey=); null where that cannot be.
    select 'pg_catalog.num_nulls(' || string_agg(i_row || '.' || c.ident, ', ' order by c.nr) || ') operator(pg_catalog.>) 0'
      from pgq._capture_columns(i_table, '{}') c
     where c.name = any (i_key) and c.name <> all (pgq._capture_never_null(i_table));
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_null_refused(i_table regclass)
returns boolean as $$
-- Errors:
--      object_not_in_prerequisite_state
begin
    raise exception 'Update/Delete of a row whose key is null'
        using errcode = 'object_not_in_prerequisite_state', detail = 'Table: ' || i_table, hint = 'Events tell rows by their key, and nobody finds null: give pkey= columns that are NOT NULL.';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_state(i_capture pgq.capture, i_table oid, i_words record)
returns text as $$
-- SQL of what to do with a change: the state of the queue, or why there is none.
--
-- Nothing in it mentions a column, so that it can be planned whatever the table has become.
--
-- Parameters:
--      i_words     - what pgq._capture_words returned
declare
    _p pgq.trigger_plan%rowtype := i_words.plan;
    _default_identity boolean := (select c.relreplident = 'd' from pg_class c where c.oid = i_table);
    _columns text[] := array(select k.name from pgq._capture_columns(i_table, '{}') k order by k.nr);
    _present text[] := array(select k.name from pgq._capture_columns(i_table, '{}') k where k.present order by k.nr);
    _uniques text[] := pgq._capture_uniqueness(i_table);
begin
    return format($code$case
        when pg_catalog.current_setting('session_replication_role') operator(pg_catalog.=) 'local' then -1
        when case when pg_catalog.current_setting('skytools.apply_token', true) operator(pg_catalog.<>) '' then pgq._apply_allowed(%L) end then -1
        when tg_relid operator(pg_catalog.<>) '%s'::pg_catalog.oid
             or not pgq._capture_intact('%s'::pg_catalog.regclass, %L, %s::pg_catalog.int2, '%s'::pg_catalog.oid, '%s'::pg_catalog.oid, %L::pg_catalog.text[], %L::pg_catalog.text[], %L::pg_catalog.oid[], %L::pg_catalog.text[], %L::pg_catalog.text[], %L::pg_catalog.oid[])%s then -2%s%s%s
        else pg_catalog.pg_sequence_last_value(%L) end$code$,
        i_capture.queue_name, i_table,
        i_table, format('%I.%I', _p.rel_schema, _p.rel_name), _p.last_attnum, _p.key_index, _p.identity_index, _p.key_names,
        _columns,
        array(select a.atttypid from pg_attribute a where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v' order by a.attnum),
        _present, _uniques, array(select a.relid::oid from pg_partition_ancestors(i_table) a),
        -- the only way to notice a first key where it is not the replica identity
        case when _p.key_index = 0 and not _default_identity
             then format(E'\n             or exists (select 1 from pg_catalog.pg_index i where i.indrelid operator(pg_catalog.=) ''%s''::pg_catalog.oid and i.indisprimary)', i_table) else '' end,
        format(E'\n        when case when pgq._capture_planned() is not null then %1$s operator(pg_catalog.=) -2 end then -2'
               '\n        when case when pgq._capture_planned() is not null then %1$s operator(pg_catalog.=) -5 end then -5',
               format('pgq._capture_looked(%L, tg_relid, pgq._capture_planned(), %L::pg_catalog.text[], %L::pg_catalog.text[], %L::pg_catalog.text[])',
                      i_capture.function_name, _columns, _present, _uniques)),
        -- never, where the function itself has these settings; but its code may have been replaced inside of a statement that goes on with
        -- the settings from before
        case when i_words.needs <> '{}'
             then E'\n        when ' || (select string_agg(format('pg_catalog.current_setting(%L) operator(pg_catalog.%s) %L', n, case n when 'DateStyle' then '!~~' else '<>' end,
                                              case n when 'DateStyle' then 'ISO%' else pgq._capture_canonical(n) end), ' or ' order by n) from unnest(i_words.needs) n)
                  || ' then -3' else '' end,
        case i_capture.form when 'row'
             then format(E'\n        when tg_when operator(pg_catalog.=) ''BEFORE'' and pgq._capture_follower_planned(''%s''::pg_catalog.regclass, %L) is not null then -4',
                         i_table, i_capture.function_name)
             else format(E'\n        when pgq._capture_inherited_planned(''%s''::pg_catalog.regclass) then -2', i_table) end,
        i_words.prefix || '_state_seq');
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_canonical(i_setting text)
returns text as $$
-- The value under which generated capture writes texts that depend on a setting.
    select case i_setting when 'DateStyle' then 'ISO' when 'IntervalStyle' then 'iso_8601' when 'extra_float_digits' then '1' when 'bytea_output' then 'hex'
                          when 'lc_monetary' then 'C' when 'search_path' then 'pg_catalog, pg_temp' when 'quote_all_identifiers' then 'off' end;
$$ language sql immutable strict set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_enter(i_needs text[])
returns text as $$
-- Statements that change to canonical settings, for when the function has others, once; pgq._capture_leave() writes those that change back.
    select case when i_needs = '{}' then ''
                when i_needs = '{DateStyle}'
                then 'if _style is null then _style := pg_catalog.current_setting(''DateStyle''); perform pg_catalog.set_config(''DateStyle'', ''ISO'', true); end if;'
                else 'if _settings is null then _settings := pgq._capture_settings(null); end if;' end;
$$ language sql immutable strict set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_leave(i_needs text[])
returns text as $$
    select case when i_needs = '{}' then ''
                when i_needs = '{DateStyle}' then 'if _style is not null then perform pg_catalog.set_config(''DateStyle'', _style, true); end if;'
                else 'if _settings is not null then perform pgq._capture_settings(_settings); end if;' end;
$$ language sql immutable strict set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_insert(
    i_capture pgq.capture, i_words record, i_type text, i_backup boolean, i_number text, i_done text)
returns text as $$
-- Statements that write _data as an event into the table that _state names.
--
-- Parameters:
--      i_type      - SQL of its type
--      i_backup    - _old_data goes into ev_extra2
--      i_number    - SQL of its number; null for the next one
--      i_done      - statement that follows
begin
    return (select coalesce(string_agg(format($code$
        %s _state operator(pg_catalog.=) %s and _data is not null then
            insert into %s (%sev_time, ev_type, ev_data, ev_extra1%s) values (%spg_catalog.now(), %s, _data, %s%s);
            if pg_catalog.pg_sequence_last_value(%L) operator(pg_catalog.<>) _state then
                perform pgq._assert_still_open(%L, %L);
            end if;
            %s$code$,
        case n when 0 then 'if' else 'elsif' end, 2 * n, pgq.quote_fqname(i_words.prefix || '_' || n),
        case when i_number is null then '' else 'ev_id, ' end, case when i_backup then ', ev_extra2' else '' end,
        coalesce(i_number || ', ', ''), i_type, i_words.extra, case when i_backup then ', _old_data' else '' end,
        i_words.prefix || '_state_seq', i_capture.queue_name, i_words.prefix, i_done), '' order by n) || E'\n        end if;', '')
  from generate_series(0, i_words.tables - 1) n);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_refuse(i_capture pgq.capture, i_done text, i_message text, i_condition text, i_detail text, i_hint text)
returns text as $$
-- Statements for a change that cannot be captured: as pgq.capture.failure says, it fails or the capture is marked as incomplete.
--
-- Parameters:
--      i_done      - statements that follow in that case
select case i_capture.failure
    when 'mark' then format('perform pgq._capture_lost(%L, %L); %s', i_capture.function_name, i_message, i_done)
    else format('raise exception %L using errcode = %L, detail = %L, hint = %L;', replace(i_message, '%', '%%'), i_condition, i_detail, i_hint) end;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_slow(i_capture pgq.capture)
returns text as $$
-- Statements that hand a row to pgq._capture_row: one for each operation, since NEW has no type in a DELETE.
declare
    _call text := format('perform pgq._capture_row(%L, %L, tg_relid, tg_op, %L, ', i_capture.queue_name, i_capture.function_name, i_capture.options);
    _calls text;
begin
    _calls := format($code$if tg_op operator(pg_catalog.=) 'INSERT' then
            %1$s new, null::pg_catalog.record, _numbers);
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            %1$s new, old, _numbers);
        else
            %1$s null::pg_catalog.record, old, _numbers);
        end if;$code$, _call);
    if i_capture.failure = 'mark' then
        return format($code$begin
        %s
        exception when others then
            if not pgq._capture_may_be_lost(sqlstate, sqlerrm) then
                raise;
            end if;
            perform pgq._capture_lost(%L, sqlerrm);
        end;$code$, _calls, i_capture.function_name);
    end if;
    return _calls;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

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
