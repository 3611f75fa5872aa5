-- ----------------------------------------------------------------------
-- londiste.create_trigger(queue, table, trg_args, dest_table, node_type)
--
--   Put capture on a table: a row trigger `_londiste_<queue>`, beside it those that
--   keep the order of changes (`!_londiste_<queue>`, `~_londiste_<queue>`), and a truncate
--   trigger `_londiste_<queue>_truncate`.  On a leaf they refuse changes instead
--   of logging them.  Triggers that are as they should be are not touched.
--
-- Arguments:
--   i_table_name   name the events carry
--   i_trg_args     tgflags=<letters>  I U D operations (default all),
--                                     Q sqltriga, L logutriga (default), J jsontriga,
--                                     B before, A after (default), S skip
--                  no_triggers, virtual_table   create none
--                  skip            write the event instead of the row (needs B)
--                  form=row        generated for this table where that can be (default)
--                  form=generic    never generated
--                  form=statement  generated, all changes of a statement at its end
--                  capture_failure=fail|mark   what a change that cannot be captured does: fail (default), or succeed and
--                                  mark the table as incompletely captured
--                  merge_all, no_merge, expect_sync, skip_truncate   not for us
--                  anything else is handed to the trigger function
--   i_dest_table   name in this database; NULL: the same
--   i_node_type    root, branch or leaf
-- Returns:
--   200  OK; trigger_name is the row trigger's name
--   201  no triggers wanted or possible
--   400  a key column's name cannot be carried by logutriga events; no such form, or one that
--        the table, the node or the other arguments do not allow
--   403  SKIP in an AFTER trigger, or an AFTER trigger beside another's SKIP trigger
--   404  table does not exist
--   405  several SKIP triggers
-- ----------------------------------------------------------------------
create or replace function londiste.create_trigger(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_dest_table text,
    in i_node_type text,
    out ret_code int4,
    out ret_note text,
    out trigger_name text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_dest text = londiste.make_fqname(coalesce(i_dest_table, i_table_name));
    l_rel regclass;
    l_kind text;
    l_base text = londiste._trigger_base_name(i_queue_name);
    l_arg text;
    l_flags text = '';
    l_form text = 'row';
    l_failure text = 'fail';
    l_wanted boolean = true;
    l_skip boolean = false;
    l_before boolean;
    l_type int4 = 0;
    l_func text;
    l_args text[] = array[i_queue_name];
    l_truncate_args text[] = array[i_queue_name];
    l_bad text;
    l_own record;
    l_skipping name[];
    l_operations text;
    l_made boolean = false;
    l_generates boolean = false;
    l_generated boolean = false;
begin
    foreach l_arg in array coalesce(i_trg_args, '{}') loop
        case
        when l_arg is null then
            null;
        when lower(l_arg) in ('no_triggers', 'virtual_table') then
            l_wanted := false;
        when lower(l_arg) in ('merge_all', 'no_merge', 'expect_sync', 'skip_truncate') then
            null;
        when lower(l_arg) = 'skip' then
            l_skip := true;
        when l_arg like 'form=%' then
            l_form := substr(l_arg, length('form=') + 1);
        when l_arg like 'capture_failure=%' then
            l_failure := substr(l_arg, length('capture_failure=') + 1);
        when l_arg ~* '^tgflags=' then
            l_flags := upper(substr(l_arg, length('tgflags=') + 1));
        else
            l_args := l_args || l_arg;
        end case;
    end loop;

    if i_node_type = 'leaf' then
        perform 1
           from pg_catalog.pg_proc p
           join pg_catalog.pg_namespace n on n.oid = p.pronamespace
          where n.nspname = 'pgq'
            and p.proname in ('sqltriga', 'logutriga', 'jsontriga');
        l_wanted := l_wanted and found;
    end if;
    if not l_wanted then
        ret_code := 201;
        ret_note := 'Trigger not created';
        return;
    end if;

    l_rel := londiste.find_table_oid(l_dest);
    if l_rel is null then
        ret_code := 404;
        ret_note := 'Table does not exist: ' || coalesce(l_dest, 'NULL');
        return;
    end if;
    select c.relkind into l_kind from pg_catalog.pg_class c where c.oid = l_rel;

    if l_form not in ('row', 'generic', 'statement') then
        ret_code := 400;
        ret_note := format('No such trigger form: %s (there are row, generic and statement)', l_form);
        return;
    elsif l_failure not in ('fail', 'mark') then
        ret_code := 400;
        ret_note := format('No such capture_failure: %s (there are fail and mark)', l_failure);
        return;
    end if;

    l_skip := l_skip or l_flags like '%S%';
    l_before := l_flags like '%B%' and l_flags not like '%A%';
    l_func := case when l_flags like '%J%' then 'jsontriga'
                   when l_flags like '%L%' then 'logutriga'
                   when l_flags like '%Q%' then 'sqltriga'
                   else 'logutriga' end;
    l_type := case when l_flags like '%I%' then 4 else 0 end
            | case when l_flags like '%U%' then 16 else 0 end
            | case when l_flags like '%D%' then 8 else 0 end;
    if l_type = 0 then
        l_type := 4 | 16 | 8;
    end if;
    l_type := l_type | 1 | case when l_before then 2 else 0 end;

    -- logutriga separates the key columns in ev_type by commas.
    if l_func = 'logutriga' and i_node_type is distinct from 'leaf'
        and not exists (select 1 from unnest(l_args) a where a like 'pkey=%')
    then
        select a.attname into l_bad
          from pg_catalog.pg_index k
          join pg_catalog.pg_attribute a
            on a.attrelid = k.indrelid and a.attnum = any (k.indkey::int2[])
         where k.indrelid = l_rel
           and k.indisprimary
           and a.attname like '%,%'
         order by a.attnum limit 1;
        if found then
            ret_code := 400;
            ret_note := format('Key column "%s" of table %s has a comma in its name, which events cannot carry: '
                               'rename the column, or use --trigger-flags=J', l_bad, l_dest);
            return;
        end if;
    end if;

    -- SKIP triggers of others: after one of them no AFTER trigger fires.
    select array_agg(t.tgname order by t.tgname) into l_skipping
      from pg_catalog.pg_trigger t
     where t.tgrelid = l_rel
       and not t.tgisinternal
       and t.tgtype & 1 = 1
       and londiste.is_replica_func(t.tgfoid)
       and position('\x00534b495000'::bytea in t.tgargs) > 0       -- \0SKIP\0
       and t.tgname not in (l_base, 'zzz_' || l_base);
    if not l_before and l_skipping is not null then
        ret_code := 403;
        ret_note := 'AFTER trigger cannot work with SKIP trigger(s)';
        return;
    end if;
    if not l_before and l_skip then
        ret_code := 403;
        ret_note := format('SKIP works in a BEFORE trigger only, table %s: use --trigger-flags with B', l_dest);
        return;
    end if;
    trigger_name := l_base;
    if l_skip then
        if l_skipping is null then
            -- last in order, so that other BEFORE triggers still see the row
            trigger_name := 'zzz_' || l_base;
        elsif cardinality(l_skipping) > 1 then
            ret_code := 405;
            ret_note := 'Multiple SKIP triggers';
            trigger_name := null;
            return;
        elsif l_skipping[1] not like 'zzz\_%' then
            execute format('alter trigger %I on %s rename to %I',
                           l_skipping[1], londiste.quote_fqname(l_dest),
                           'zzz_' || l_skipping[1]);
        end if;
    end if;

    -- Events carry the global name.  A partitioned table's trigger fires on its
    -- partitions, whose own names nobody knows.
    if not exists (select 1 from unnest(l_args) a where a like 'ev\_extra1=%') then
        if l_table <> l_dest or l_kind = 'p' then
            l_args := l_args || format('ev_extra1=%L', l_table);
        end if;
        -- The C function refuses expressions in a truncate trigger, ours takes
        -- strings there.
        if l_table <> l_dest and split_part(coalesce(pgq.version(), '3'), '.', 1)::int4 >= 4 then
            l_truncate_args := l_truncate_args
                || case when position('\' in l_table) = 0 then format('ev_extra1=%L', l_table)
                        else 'ev_extra1=' || repeat('$', 2) || l_table || repeat('$', 2) end;
        end if;
    end if;

    if trigger_name <> l_base then
        l_args := l_args || 'SKIP'::text;
    end if;
    if i_node_type = 'leaf' then
        l_args := l_args || 'deny'::text;
        l_truncate_args := l_truncate_args || 'deny'::text;
    end if;

    -- An original pgq does not know how to generate.
    l_generates := to_regprocedure('pgq._capture_possible(oid,text[])') is not null;
    if l_generates and l_form in ('row', 'statement') and l_func = 'logutriga' and not l_before then
        l_generated := pgq._capture_possible(l_rel, l_args);
    end if;
    if not l_generated and (l_form = 'statement' or l_failure = 'mark') then
        ret_code := 400;
        trigger_name := null;
        ret_note := format('Table %s cannot be captured with %s: %s', l_dest,
            concat_ws(' and ', case l_form when 'statement' then 'form=statement' end, case l_failure when 'mark' then 'capture_failure=mark' end),
            case when i_node_type = 'leaf' then 'this node is a leaf, which captures nothing; leave that out'
                 when not l_generates then 'the pgq of this database is the original''s, which does not generate capture; run "skytools install", or leave that out'
                 when l_form = 'generic' then 'form=generic is not generated; leave out one of them'
                 when l_kind <> 'r' then 'it is partitioned, which needs the generic trigger; leave that out, or add its partitions in its place'
                 else 'flags B, S, Q and J, deny, expressions and columns named _pgq_ev_* need the generic trigger; leave that out, or them' end);
        return;
    end if;

    -- the other form of this queue's trigger would log everything twice
    for l_own in
        select t.tgname
          from pg_catalog.pg_trigger t
         where t.tgrelid = l_rel
           and not t.tgisinternal
           and ltrim(t.tgname, '~!') in (l_base, 'zzz_' || l_base)
           and ltrim(t.tgname, '~!') <> trigger_name
           and londiste.is_replica_func(t.tgfoid)
    loop
        execute format('drop trigger %I on %s', l_own.tgname, londiste.quote_fqname(l_dest));
    end loop;

    if l_generates then
        select n.nspname, c.relname into l_own
          from pg_catalog.pg_class c
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.oid = l_rel;
        l_operations := concat(case when l_type & 4 <> 0 then 'I' end, case when l_type & 16 <> 0 then 'U' end, case when l_type & 8 <> 0 then 'D' end);
        if l_generated then
            perform pgq._capture_allow(l_rel);
            l_func := pgq._capture_register(i_queue_name, l_own.nspname, l_own.relname, trigger_name, l_args[2:], l_failure, l_form, l_operations);
        end if;
        if l_form = 'statement' then
            perform pgq._capture_check_statement(i_queue_name || l_args[2:]);
        end if;
        if l_func ~ '^_capture_' then
            perform pgq._capture_triggers(l_rel, trigger_name, l_form, l_func, l_args, l_operations);
        elsif l_before or to_regprocedure('pgq._trigger_number(text,text,oid,tid,xid)') is null then
            perform pgq._capture_drop_triggers(l_rel, trigger_name, true, array[trigger_name]::text[]);
        else
            if i_node_type is distinct from 'leaf' then
                perform pgq._trigger_check_key(l_rel, l_args);
            end if;
            perform pgq._capture_triggers(l_rel, trigger_name, 'generic', l_func, l_args, l_operations);
            l_made := true;
        end if;
    end if;
    if l_func in ('logutriga', 'sqltriga', 'jsontriga') and not l_made then
        perform londiste._make_trigger(l_rel, trigger_name, l_type::int2, l_func, l_args);
    end if;
    if l_generates and not l_generated then
        perform pgq._capture_forget(i_queue_name, l_own.nspname, l_own.relname, trigger_name);
    end if;
    perform londiste._make_trigger(l_rel, l_base || '_truncate', 32::int2, 'sqltriga', l_truncate_args);

    ret_code := 200;
    ret_note := 'OK';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
