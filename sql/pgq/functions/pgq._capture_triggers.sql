create or replace function pgq._capture_triggers(i_table oid, i_trigger name, i_form text, i_function name, i_args text[], i_operations text)
returns void as $$
-- Creates the triggers that capture changes in one form, and drops those of another one.  Those that are as they should be are not touched: that
-- would lock the table.
--
-- By row there are three: pgq._capture_order.sql.  The name of the BEFORE trigger makes it the last one to fire, as a rule; that of the
-- one with a WHEN clause makes this the first one to be asked.  In generic form there are two: pgq._trigger_order.sql; one that denies changes has nothing to number.
-- Where inserts and deletes are captured and updates are not, that BEFORE trigger sees these, too, for the sake of the order, or in generic form another one that never fires.
--
-- By statement there is one trigger for each operation (transition tables want that), one that notes where a statement begins, and
-- one that never fires: its transition table keeps the table from becoming a partition or a child, whose
-- statement triggers would not fire for changes made through the parent.
--
-- Errors:
--      feature_not_supported: by statement, of a table in a hierarchy
--      object_not_in_prerequisite_state: names a trigger that has to be renamed
declare
    _name text := i_table::regclass::text;
    _args text := (select string_agg(quote_literal(a), ', ' order by nr) from unnest(i_args) with ordinality u (a, nr));
    _part record;
    _sequence text := (select q.queue_event_seq from pgq.queue q where q.queue_name = i_args[1]);
    -- otherwise what pg_trigger shows may be the past: triggers that are gone, or have been made anew
    _present boolean := current_setting('transaction_isolation') = 'read committed';
    _deny boolean := i_form = 'generic' and 'deny' = any (i_args[2:]);
    -- what is looked at for the sake of the order, too
    _seen text := i_operations || case when i_operations = 'ID' and not _deny then 'U' else '' end;
    _code text := case i_form when 'row' then i_function else pgq._trigger_which(i_function, i_args) end;
    -- a partitioned table's triggers are asked about versions that have no xmin
    _xmin text := (select case c.relkind when 'p' then 'null' else 'old.xmin' end from pg_class c where c.oid = i_table);
    -- ENABLE ALWAYS is somebody's wish, for all of them
    _always boolean := exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname in (i_trigger, '~' || i_trigger, '!' || i_trigger) and t.tgenabled = 'A');
begin
    if i_form <> 'statement' and octet_length(i_trigger) > 61 then
        raise exception 'capture needs several triggers: the name % is too long for them', i_trigger
            using errcode = 'name_too_long', hint = 'Give a shorter one: trigger=NAME, at most 61 bytes.';
    end if;
    if i_form <> 'statement' then
        perform pgq._capture_drop_triggers(i_table, i_trigger, i_form);
        for _part in
            select v.name, v.time, v.condition,
                   (select string_agg(case l when 'I' then 'insert' when 'U' then 'update' else 'delete' end, ' or ')
                      from regexp_split_to_table(v.letters, '') l where strpos(v.operations, l) > 0 and l <> '') as events
              from (values
                ('row',     i_trigger,         'after',  'I',  i_operations, ''),
                ('row',     '~' || i_trigger,  'before', 'UD', _seen,        ''),
                ('row',     '!' || i_trigger,  'after',  'UD', i_operations,
                    format('when (case when current_setting(%L, true) <> '''' then pgq._capture_number(%L, old.tableoid, old.ctid, %L::regclass) end)', 'skytools.late' || _code, _code, _sequence)),
                ('generic', i_trigger,         'after',  case when _deny then 'IUD' else 'I' end, i_operations, ''),
                ('generic', '!' || i_trigger,  'after',  case when _deny then '' else 'UD' end,   i_operations,
                    format('when (pgq._trigger_number(%L, %L, old.tableoid, old.ctid, %s))', i_args[1], _code, _xmin)),
                ('generic', '!!' || i_trigger, 'after',  case when _seen <> i_operations then 'U' else '' end, _seen,
                    format('when (pgq._trigger_first(%L, %L, old.tableoid, old.ctid, %s))', i_args[1], _code, _xmin))) v (form, name, time, letters, operations, condition)
             where v.form = i_form
        loop
            if _part.events is null then
                -- DROP TRIGGER IF EXISTS would lock the table for nothing
                if not _present or exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname = _part.name) then
                    execute format('drop trigger if exists %I on %s', _part.name, _name);
                end if;
            elsif not _present or not exists (
                select 1
                  from pg_trigger t
                 where t.tgrelid = i_table and t.tgname = _part.name and t.tgfoid = to_regprocedure(format('pgq.%I()', i_function))
                   and t.tgtype = 1 | case _part.time when 'before' then 2 else 0 end
                                    | case when _part.events ~ 'insert' then 4 else 0 end | case when _part.events ~ 'delete' then 8 else 0 end | case when _part.events ~ 'update' then 16 else 0 end
                   and t.tgargs = (select string_agg(convert_to(a, getdatabaseencoding()) || E'\\x00'::bytea, '' order by nr) from unnest(i_args) with ordinality u (a, nr))
                   and case when t.tgqual is null then _part.condition = '' else _part.condition <> '' and strpos(pg_get_expr(t.tgqual, t.tgrelid), _code) > 0 end
                   and t.tgattr::text = '' and t.tgconstraint = 0
                   and t.tgenabled = case when _always then 'A' else 'O' end) then
                execute format('create or replace trigger %I %s %s on %s for each row %s execute function pgq.%I(%s)',
                               _part.name, _part.time, _part.events, _name, _part.condition, i_function, _args);
                execute format('alter table %s enable %s trigger %I', _name, case when _always then 'always' else '' end, _part.name);
            end if;
        end loop;
        if pgq._capture_follower(i_table, i_function) is not null then
            perform pgq._capture_not_last(i_table, i_function);
        end if;
        return;
    end if;

    if exists (select 1 from pg_inherits h where i_table in (h.inhrelid, h.inhparent)) then
        raise exception 'form=statement is not possible for table %: it is a partition, or inherits or is inherited', _name
            using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif i_operations <> 'IUD' then
        raise exception 'form=statement captures all operations, tgflags= is not possible' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif octet_length(i_trigger) > 56 then
        raise exception 'form=statement needs several triggers: the name % is too long for them', i_trigger
            using errcode = 'name_too_long', hint = 'Give a shorter one: trigger=NAME, at most 56 bytes.';
    end if;
    perform pgq._capture_drop_triggers(i_table, i_trigger, i_form);
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

create or replace function pgq._capture_drop_triggers(i_table oid, i_trigger name, i_form text)
returns void as $$
-- Drops the triggers of capture that have no place in a form: row, generic, statement, or single for one trigger only.
declare
    _t name;
    _present boolean := current_setting('transaction_isolation') = 'read committed';
begin
    for _t in
        select v.name
          from (values (i_trigger::text, null), (i_trigger || '_update', '{statement}'), (i_trigger || '_delete', '{statement}'), (i_trigger || '_open', '{statement}'),
                       (i_trigger || '_pin', '{statement}'), ('~' || i_trigger, '{row}'), ('!' || i_trigger, '{row,generic}'), ('!!' || i_trigger, '{generic}')) v (name, forms)
               left join pg_trigger t on t.tgrelid = i_table and t.tgname = v.name::name
         where case when v.forms is null then (t.tgtype & 1 = 0) <> (i_form = 'statement') else i_form <> all (v.forms::text[]) and (t.oid is not null or not _present) end
    loop
        execute format('drop trigger if exists %I on %s', _t, i_table::regclass);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
