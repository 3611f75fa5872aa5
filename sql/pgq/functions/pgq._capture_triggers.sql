create or replace function pgq._capture_triggers(i_table oid, i_trigger name, i_form text, i_function name, i_args text[], i_events text)
returns void as $$
-- Creates the triggers that capture changes in one form, and drops those of another one.
--
-- By statement there is one trigger for each operation (transition tables want that), one that notes where a statement begins, and
-- one that never fires: its transition table keeps the table from becoming a partition or a child, whose
-- statement triggers would not fire for changes made through the parent.
--
-- Errors:
--      feature_not_supported: by statement, of a table in a hierarchy
declare
    _name text := i_table::regclass::text;
    _args text := (select string_agg(quote_literal(a), ', ' order by nr) from unnest(i_args) with ordinality u (a, nr));
    _part record;
begin
    if i_form <> 'statement' then
        perform pgq._capture_drop_statement(i_table, i_trigger);
        execute format('create or replace trigger %I after %s on %s for each row execute function pgq.%I(%s)', i_trigger, i_events, _name, i_function, _args);
        execute format('alter table %s enable trigger %I', _name, i_trigger);
        return;
    end if;

    if exists (select 1 from pg_inherits h where i_table in (h.inhrelid, h.inhparent)) then
        raise exception 'form=statement is not possible for table %: it is a partition, or inherits or is inherited', _name
            using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif i_events <> 'insert or update or delete' then
        raise exception 'form=statement captures all operations, tgflags= is not possible' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif octet_length(i_trigger) > 56 then
        raise exception 'form=statement needs several triggers: the name % is too long for them', i_trigger
            using errcode = 'name_too_long', hint = 'Give a shorter one: trigger=NAME, at most 56 bytes.';
    end if;
    if exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname = i_trigger and t.tgnewtable is null) then
        execute format('drop trigger %I on %s', i_trigger, _name);
    end if;
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

create or replace function pgq._capture_drop_statement(i_table oid, i_trigger name)
returns void as $$
-- Drops the triggers of capture by statement.
declare
    _t name;
begin
    for _t in
        select t.tgname from pg_trigger t
         where t.tgrelid = i_table
           and (t.tgname in (i_trigger || '_update', i_trigger || '_delete', i_trigger || '_open', i_trigger || '_pin')
                or t.tgname = i_trigger and t.tgnewtable is not null)
    loop
        execute format('drop trigger %I on %s', _t, i_table::regclass);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
