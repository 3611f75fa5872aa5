create or replace function pgq._capture_wanted(i_form text, i_trigger text, i_operations text, i_deny boolean, i_deferrable boolean)
returns table (name text, type int2, function text, old_rows text, new_rows text, condition text) as $$
-- The triggers that capture changes in one form.
--
-- By row there are three: pgq._capture_order.sql.  The name of the BEFORE trigger makes it the last one to fire, as a rule; that of the
-- one with a WHEN clause makes this the first one to be asked.  If the key is deferrable, one before them has it checked.  In generic form there are two: pgq._trigger_order.sql; one that denies changes has nothing to number.
-- Where inserts and deletes are captured and updates are not, that BEFORE trigger sees these, too, for the sake of the order, or in generic form another one that never fires.
--
-- By statement there is one trigger for each operation (transition tables want that), one that notes where a statement begins, and
-- one that never fires: its transition table keeps the table from becoming a partition or a child, whose
-- statement triggers would not fire for changes made through the parent.
--
-- Parameters:
--      i_form          - row, generic, statement
--      i_trigger       - name of the one that the names of the others extend
--      i_operations    - letters of I, U, D
--      i_deny          - whether changes are denied, not captured
--      i_deferrable    - whether the key is, by which events tell rows
-- Returns:
--      type                - pg_trigger.tgtype
--      function            - in schema pgq, where it is not that of the table
--      old_rows, new_rows  - names of transition tables
--      condition           - what the WHEN clause is for: kept, number, first (pgq._capture_triggers has them), never; null for none
    select v.name, (v.type | l.type)::int2, v.function, v.old_rows, v.new_rows, v.condition
      from (values (i_operations || case when i_operations = 'ID' and not i_deny then 'U' else '' end)) s (seen),
           lateral (values
                -- 1 for each row, 2 before
                (1, 'row',       i_trigger,              1, 'I',   i_operations, null,            null,       null,       null),
                (2, 'row',       '~' || i_trigger,       3, 'UD',  s.seen,       null,            null,       null,       null),
                (3, 'row',       '!' || i_trigger,       1, 'UD',  i_operations, null,            null,       null,       'kept'),
                (4, 'row',       '!!' || i_trigger,      1, case when i_deferrable then 'I' else '' end, i_operations, '_capture_one_key', null, null, null),
                (1, 'generic',   i_trigger,              1, case when i_deny then 'IUD' else 'I' end, i_operations, null, null, null, null),
                (2, 'generic',   '!' || i_trigger,       1, case when i_deny then '' else 'UD' end, i_operations, null, null, null, 'number'),
                (3, 'generic',   '!!' || i_trigger,      1, case when s.seen <> i_operations then 'U' else '' end, s.seen, null, null, null, 'first'),
                (1, 'statement', i_trigger || '_open',   2, 'IUD', i_operations, '_capture_open', null,       null,       null),
                (2, 'statement', i_trigger,              0, 'I',   i_operations, null,            null,       'new_rows', null),
                (3, 'statement', i_trigger || '_update', 0, 'U',   i_operations, null,            'old_rows', 'new_rows', null),
                (4, 'statement', i_trigger || '_delete', 0, 'D',   i_operations, null,            'old_rows', null,       null),
                (5, 'statement', i_trigger || '_pin',    1, 'D',   i_operations, null,            'old_rows', null,       'never')
           ) v (nr, form, name, type, letters, operations, function, old_rows, new_rows, condition),
           lateral (select coalesce(bit_or(o.type), 0) as type
                      from (values ('I', 4), ('D', 8), ('U', 16)) o (letter, type)
                     where strpos(v.letters, o.letter) > 0 and strpos(v.operations, o.letter) > 0) l
     where v.form = i_form and l.type > 0
     order by v.nr;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_triggers(i_table oid, i_trigger name, i_form text, i_function name, i_args text[], i_operations text)
returns void as $$
-- Creates the triggers that capture changes in one form, and drops those of another one.  Those that are as they should be are not touched: that
-- would lock the table.
--
-- Errors:
--      feature_not_supported: by statement, of a table in a hierarchy
--      name_too_long
--      object_not_in_prerequisite_state: names a trigger that has to be renamed
declare
    _name text := i_table::regclass::text;
    _args text := (select string_agg(quote_literal(a), ', ' order by nr) from unnest(i_args) with ordinality u (a, nr));
    _stored bytea := (select string_agg(convert_to(a, getdatabaseencoding()) || E'\\x00'::bytea, '' order by nr) from unnest(i_args) with ordinality u (a, nr));
    _t record;
    _sequence text := (select q.queue_event_seq from pgq.queue q where q.queue_name = i_args[1]);
    -- otherwise what pg_trigger shows may be the past: triggers that are gone, or have been made anew
    _present boolean := current_setting('transaction_isolation') = 'read committed';
    _deny boolean := i_form = 'generic' and 'deny' = any (i_args[2:]);
    _code text := case i_form when 'row' then i_function else pgq._trigger_which(i_function, i_args) end;
    -- a partitioned table's triggers are asked about versions that have no xmin
    _xmin text := (select case c.relkind when 'p' then 'null' else 'old.xmin' end from pg_class c where c.oid = i_table);
    _longest int := case i_form when 'statement' then 56 else 61 end;
    -- ENABLE ALWAYS is somebody's wish, for all of them
    _deferrable constant boolean := pgq._capture_swappable(i_table, pgq._capture_key(i_table, i_args));
    _always boolean := exists (select 1 from pg_trigger t where t.tgrelid = i_table and t.tgname in (i_trigger, '~' || i_trigger, '!' || i_trigger) and t.tgenabled = 'A');
begin
    if i_form = 'statement' and exists (select 1 from pg_inherits h where i_table in (h.inhrelid, h.inhparent)) then
        raise exception 'form=statement is not possible for table %: it is a partition, or inherits or is inherited', _name
            using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif i_form = 'statement' and i_operations <> 'IUD' then
        raise exception 'form=statement captures all operations, tgflags= is not possible' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    elsif i_form = 'statement' and _deferrable then
        perform pgq._trigger_check_key(i_table, i_args, i_form);
    elsif i_form = 'row' and _deferrable and i_operations ~ 'I' and i_trigger <= pgq._capture_constraint_triggers() then
        raise exception 'the trigger of table % cannot be named %: its key is deferrable, and triggers of PostgreSQL that check it fire behind that', _name, quote_ident(i_trigger)
            using errcode = 'feature_not_supported', hint = 'Give a name that begins with a small letter or _: trigger=NAME.';
    elsif octet_length(i_trigger) > _longest then
        raise exception 'form=% needs several triggers: the name % is too long for them', i_form, i_trigger
            using errcode = 'name_too_long', hint = format('Give a shorter one: trigger=NAME, at most %s bytes.', _longest);
    end if;

    perform pgq._capture_drop_triggers(i_table, i_trigger, i_form <> 'statement',
        array(select w.name from pgq._capture_wanted(i_form, i_trigger, i_operations, _deny, _deferrable) w));
    for _t in
        select w.name, w.type, coalesce(w.function, i_function) as function, w.old_rows, w.new_rows,
               case w.condition
                   when 'never' then 'false'
                   -- PostgreSQL reads and plans it anew for each statement: no more of it than necessary, and its constants are short
                   when 'kept' then format('current_setting(%L, true) <> '''' and pgq._capture_number(%L::text, old.tableoid, old.ctid, %L::regclass)',
                                           'skytools.late' || _code, _code, _sequence)
                   when 'number' then format('pgq._trigger_number(%L, %L, old.tableoid, old.ctid, %s)', i_args[1], _code, _xmin)
                   when 'first' then format('pgq._trigger_first(%L, %L, old.tableoid, old.ctid, %s)', i_args[1], _code, _xmin)
               end as condition
          from pgq._capture_wanted(i_form, i_trigger, i_operations, _deny, _deferrable) w
    loop
        continue when _present and exists (
            select 1
              from pg_trigger t
             where t.tgrelid = i_table and t.tgname = _t.name and t.tgfoid = to_regprocedure(format('pgq.%I()', _t.function))
               and t.tgtype = _t.type and t.tgargs = _stored
               and t.tgoldtable is not distinct from _t.old_rows and t.tgnewtable is not distinct from _t.new_rows
               and case when t.tgqual is null then _t.condition is null
                        else strpos(pg_get_expr(t.tgqual, t.tgrelid), case _t.condition when 'false' then 'false' else quote_literal(_code) || '::text' end) > 0 end
               and t.tgattr::text = '' and t.tgconstraint = 0
               and t.tgenabled = case when _always then 'A' else 'O' end);
        execute format('create or replace trigger %I %s %s on %s %s for each %s %s execute function pgq.%I(%s)',
                       _t.name,
                       case when _t.type & 2 <> 0 then 'before' else 'after' end,
                       (select string_agg(o.name, ' or ' order by o.type) from (values (4, 'insert'), (8, 'delete'), (16, 'update')) o (type, name) where _t.type & o.type <> 0),
                       _name,
                       case when _t.old_rows is not null or _t.new_rows is not null
                            then 'referencing' || coalesce(' old table as ' || _t.old_rows, '') || coalesce(' new table as ' || _t.new_rows, '') end,
                       case when _t.type & 1 <> 0 then 'row' else 'statement' end,
                       'when (' || _t.condition || ')', _t.function, _args);
        execute format('alter table %s enable %s trigger %I', _name, case when _always then 'always' end, _t.name);
    end loop;
    if i_form <> 'statement' and pgq._capture_follower(i_table, i_function) is not null then
        perform pgq._capture_not_last(i_table, i_function);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_drop_triggers(i_table oid, i_trigger name, i_for_rows boolean, i_keep text[])
returns void as $$
-- Drops the triggers that extend a name, but for some.
--
-- Parameters:
--      i_for_rows  - whether the trigger of that name itself is to fire for rows; it cannot be replaced by one of the other sort
declare
    _name name;
    _present boolean := current_setting('transaction_isolation') = 'read committed';
begin
    for _name in
        select n.name
          from (select distinct w.name::name as name
                  from unnest('{row,generic,statement}'::text[]) f (form), unnest('{IUD,ID}'::text[]) o (operations), pgq._capture_wanted(f.form, i_trigger, o.operations, false, true) w) n
               left join pg_trigger t on t.tgrelid = i_table and t.tgname = n.name
         where case when n.name <> all (i_keep) then t.oid is not null or not _present
                    else n.name = i_trigger and (t.tgtype & 1 <> 0) <> i_for_rows end
         order by n.name
    loop
        -- DROP TRIGGER IF EXISTS would lock the table for nothing
        execute format('drop trigger if exists %I on %s', _name, i_table::regclass);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
