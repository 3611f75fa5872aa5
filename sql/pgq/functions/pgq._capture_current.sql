create or replace function pgq._capture_current(
    i_queue text, i_schema name, i_table name,
    out function name, out plain boolean, out good boolean, out present_day boolean, out form text, out trigger name, out operations text, out args text[], out options text[])
as $$
-- What captures a table for a queue.
--
-- Returns:
--      function    - of the row trigger, in schema pgq; null when there is none
--      plain       - it may be replaced by a generated one: after each row, by pgq.logutriga
--      good        - generated, as registered, enabled, and nothing was lost
--      present_day - triggers are those that are made now: the order of changes is kept
--      form        - row or statement: how it is, or was, generated; row for a generic one
--      trigger     - name of the row trigger, without the signs that its companions begin with
--      operations  - letters of I, U, D
--      args        - of the trigger
--      options     - of pgq.capture_table, which make the same
--      All null when there is no trigger and none is registered.
declare
    _queue constant bytea := convert_to(i_queue, getdatabaseencoding()) || '\x00';
    _table constant oid := to_regclass(format('%I.%I', i_schema, i_table));
    _t record;
    _c pgq.capture%rowtype;
begin
    select p.proname as function, min(ltrim(t.tgname, '~!')) as name,
           bool_and(p.proname = 'logutriga' and t.tgtype & 2 = 0) as plain,
           bool_and(t.tgenabled in ('O', 'A')) as enabled,
           -- operations of AFTER triggers that fire for all changes: 4 insert, 8 delete, 16 update
           coalesce(bit_or(t.tgtype) filter (where t.tgtype & 2 = 0 and t.tgqual is null), 0) & 28 as after,
           bool_or(t.tgtype & 2 <> 0) as before, bool_or(t.tgqual is not null) as late, bool_or(t.tgtype & 1 = 0) as by_statement,
           -- some only see updates: a BEFORE trigger beside AFTER triggers, and one that never fires
           coalesce(bit_or(t.tgtype) filter (where t.tgtype & 2 = 0 and not starts_with(t.tgname, '!!')), bit_or(t.tgtype))
               | (coalesce(bit_or(t.tgtype) filter (where t.tgtype & 2 <> 0), 0) & 8) as all_operations, (array_agg(t.tgargs))[1] as args
      into _t
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = _table and not t.tgisinternal and t.tgtype & 32 = 0
       and p.pronamespace = 'pgq'::regnamespace
       and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') and t.tgtype & 1 = 1 and (t.tgqual is null or starts_with(t.tgname, '!'))
            or p.proname ~ '^_capture_[0-9]+$')
       and substring(t.tgargs for length(_queue)) = _queue
     group by p.oid, p.proname, case when p.proname ~ '^_capture_' then '' else ltrim(t.tgname, '~!') end
     order by p.proname limit 1;
    select c.* into _c
      from pgq.capture c
     where c.queue_name = i_queue and c.rel_schema = i_schema and c.rel_name = i_table
       and (_t.function is null or c.function_name = _t.function or _t.name = c.trigger_name)
     order by c.function_name = _t.function desc nulls last, c.capture_id limit 1;
    if _t.function is null and _c.capture_id is null then
        return;
    end if;

    function := _t.function;
    form := coalesce(_c.form, case when _t.by_statement then 'statement' else 'row' end);
    trigger := coalesce(_c.trigger_name, _t.name);
    operations := coalesce(_c.operations, concat(case when _t.all_operations & 4 <> 0 then 'I' end, case when _t.all_operations & 16 <> 0 then 'U' end,
                                                  case when _t.all_operations & 8 <> 0 then 'D' end));
    if _t.function is not null then
        select array_agg(convert_from(substr(_t.args, z.before + 1, z.at - z.before - 1), getdatabaseencoding()) order by z.at) into args
          from (select g + 1 as at, lag(g + 1, 1, 0) over (order by g) as before
                  from generate_series(0, length(_t.args) - 1) g where get_byte(_t.args, g) = 0) z;
    end if;
    plain := coalesce(_t.plain, false);
    present_day := _t.function is null or form = 'statement'
        or _t.function !~ '^_capture_' and _t.before
        or not exists (select 1
                         from pgq._capture_wanted(case when _t.function ~ '^_capture_' then 'row' else 'generic' end, trigger, operations, 'deny' = any (args[2:]),
                                                   pgq._capture_swappable(_table, pgq._capture_key(_table, args))) w
                        where not exists (select 1 from pg_trigger t
                                           where t.tgrelid = _table and t.tgname = w.name and t.tgtype = w.type and (t.tgqual is null) = (w.condition is null)));
    good := coalesce(_c.lost_since is null and _t.enabled and _c.function_name = _t.function
                     and (form = 'statement'
                          or (operations !~ 'I' or _t.after & 4 <> 0)
                             -- one trigger for all, or what is to be written at once and what is left
                             and (_t.after & 24 <> 0 or operations !~ '[UD]' or _t.before and (_t.late or operations !~ 'U'))), false);
    options := array['trigger=' || trigger]
            || case when form = 'row' then array['tgflags=' || operations] end
            || case when _c.failure <> 'fail' then array['capture_failure=' || _c.failure] end
            || case when _t.function is null then _c.options else args[2:] end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
