create or replace function pgq._capture_plan(i_queue text, i_options text[], i_table oid, i_op text)
returns pgq.trigger_plan as $$
-- What a table is now, for a change of it that the generated code was not written for.
--
-- Errors:
--      serialization_failure when the table was altered after the snapshot of this transaction was taken;
--      Update/Delete on table without pkey
declare
    _p pgq.trigger_plan%rowtype := pgq._trigger_plan(i_table, 'logutriga', i_queue || i_options);
begin
    -- the plan is seen through the snapshot, its name too; a regclass is written from the system cache
    if _p.rel_name is null or not pgq._capture_intact(i_table, format('%I.%I', _p.rel_schema, _p.rel_name), _p.last_attnum, _p.key_index, _p.identity_index, _p.key_names,
                               array(select k.name from pgq._capture_columns(i_table, '{}') k order by k.nr), _p.types, '{}',
                               pgq._capture_uniqueness(i_table), array(select a.relid::oid from pg_partition_ancestors(i_table) a)) then
        raise serialization_failure using
            message = format('table %s was altered after the snapshot of this transaction was taken', i_table::regclass),
            hint = 'Run the transaction again.';
    end if;
    perform pgq._capture_unaltered(i_table);
    if i_op <> 'INSERT' and not _p.has_key then
        raise exception 'Update/Delete on table without pkey'
            using errcode = 'object_not_in_prerequisite_state', detail = 'Table: ' || i_table::regclass,
                  hint = 'Add a primary key, or give pkey=.';
    end if;
    return _p;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on set quote_all_identifiers = off;

create or replace function pgq._capture_row(
    i_queue text, i_function name, i_table oid, i_op text, i_options text[], i_new record, i_old record, i_numbers int8[])
returns void as $$
-- Writes the event of one row from the structure its table has now.
--
-- Generated capture comes here when the table is no longer what the code was written for: it was altered or renamed, is restored from
-- a dump, or the function was put on another table.  Slow, so the code is written anew on the way, where nobody else does.
--
-- Parameters:
--      i_numbers   - of the event, or of the delete and the insert of a changed key; null for the next ones
--
-- Errors:
--      those of pgq._capture_plan and pgq._capture_null_refused; what is not possible with a deferrable key; a row larger than 1 GB
declare
    _o record := pgq._trigger_options(i_queue || i_options);
    _p pgq.trigger_plan%rowtype := pgq._capture_plan(i_queue, i_options, i_table, i_op);
    _extra text := coalesce(pgq._capture_constant(i_options, 'ev_extra1'), _p.table_text);
    _ignored text[] := array(select btrim(i) from unnest(string_to_array(_o.ignored, ',')) i);
    _encode text := pgq._capture_encode(i_table, _ignored, '($1)', 'careful');
    _new text;
    _old text;
    _key_changed boolean := false;
    _ignored_changed boolean;
    _same_key text;
    _null_key text;
begin
    _same_key := coalesce((
        select string_agg(format('format(''%%s'', ($1).%1$I) collate "C" = format(''%%s'', ($2).%1$I) and (($1).%1$I is distinct from null) = (($2).%1$I is distinct from null)', c), ' and ')
          from unnest(_p.cols, _p.is_key) u (c, is_key) where is_key), 'true');
    begin
        if i_op <> 'DELETE' then
            execute 'select ' || _encode into _new using i_new;
        end if;
        if i_op <> 'INSERT' then
            execute 'select ' || _encode into _old using i_old;
        end if;
    exception when program_limit_exceeded or internal_error or out_of_memory then
        perform pgq._capture_too_large(i_table, sqlerrm);
    end;
    _null_key := pgq._capture_null_key(i_table, array(select c from unnest(_p.cols, _p.is_key) u (c, is_key) where is_key), '($1)');
    if i_op <> 'INSERT' and _null_key is not null then
        execute 'select ' || _null_key into _key_changed using i_old;
        if _key_changed then
            perform pgq._capture_null_refused(i_table);
        end if;
    end if;
    if i_op = 'UPDATE' then
        execute 'select not (' || _same_key || ')'
           into _key_changed using i_new, i_old;
        execute 'select ' || coalesce((
            select string_agg(format('(format(''%%s'', ($1).%1$I) collate "C" <> format(''%%s'', ($2).%1$I)'
                                     ' or (($1).%1$I is distinct from null) <> (($2).%1$I is distinct from null))', k.name), ' or ')
              from pgq._capture_columns(i_table, _ignored) k where k.ignored), 'false')
           into _ignored_changed using i_new, i_old;
        if _ignored_changed and _new = _old then
            return;
        end if;
    end if;

    if not pgq._capture_swappable(i_table, array(select c from unnest(_p.cols, _p.is_key) u (c, is_key) where is_key)) then
        null;
    elsif _key_changed then
        raise exception 'primary key update not allowed: the key is deferrable'
            using errcode = 'feature_not_supported', detail = 'Table: ' || i_table::regclass,
                  hint = 'A deferrable key may be exchanged between rows, which no order of events can repeat. '
                         'Make it NOT DEFERRABLE, or delete and insert.';
    elsif i_op = 'INSERT' and not pgq._capture_key_checked(i_table, i_function) then
        raise exception '%', pgq._capture_unchecked()
            using errcode = 'object_not_in_prerequisite_state', detail = 'Table: ' || i_table::regclass,
                  hint = 'Run: skytools londiste INI refresh-trigger TABLE (or pgq.capture_table(queue, table)), or make the key NOT DEFERRABLE.';
    end if;

    if _key_changed or i_op = 'DELETE' then
        perform pgq._capture_event(i_queue, i_numbers[1], 'D:' || _p.key_text, _old, _extra, null);
    end if;
    if i_op <> 'DELETE' then
        perform pgq._capture_event(i_queue, i_numbers[case when _key_changed then 2 else 1 end],
                                   case when _key_changed then 'I' else "left"(i_op, 1) end || ':' || _p.key_text, _new, _extra,
                                   case when _o.backup and i_op = 'UPDATE' and not _key_changed then _old end);
    end if;
    perform pgq._capture_heal(i_queue, i_function, i_table);
end;
$$ language plpgsql
   set search_path = pg_catalog, pg_temp set DateStyle = 'ISO' set IntervalStyle = 'iso_8601'
   set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off set standard_conforming_strings = on;

create or replace function pgq._capture_heal(i_queue text, i_function name, i_table oid)
returns void as $$
-- Writes the code of an altered table anew, unless somebody else is at it or this transaction may not see the present.
begin
    if current_setting('transaction_isolation') = 'read committed'
       and exists (select 1 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                    where t.tgrelid = i_table and t.tgparentid = 0
                      and p.pronamespace = 'pgq'::regnamespace and p.proname = i_function)
       and pg_try_advisory_xact_lock('pgq.capture'::regclass::oid::int4, hashtext(i_function::text))
    then
        perform pgq._write_capture(c, false) from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    end if;
exception
    when others then
        raise warning 'capture of table % was not written anew: %', i_table::regclass, sqlerrm
            using hint = 'Run: skytools londiste INI refresh-trigger TABLE (or pgq.refresh_capture(queue, table)).';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
