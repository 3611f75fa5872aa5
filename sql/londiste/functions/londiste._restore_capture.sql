-- ----------------------------------------------------------------------
-- londiste._restore_capture(queue, table, trg_args): puts capture back on a table that
--   has lost it, as it was noted, and notes what is there then.
--
-- Arguments:
--   i_trg_args   form= and capture_failure=, in place of those that are noted
-- Returns:  code and note of create_trigger()
-- ----------------------------------------------------------------------
create or replace function londiste._restore_capture(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_queue bytea = londiste._trigger_args(array[i_queue_name]);
    l_base text = londiste._trigger_base_name(i_queue_name);
    l_table record;
    l_arg text;
    l_args text[];
    l_part record;
begin
    select coalesce(t.dest_table, t.table_name) as dest, n.node_type, coalesce(c.trg_args, '{}') as args into l_table
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
      left join londiste.table_capture c on c.queue_name = t.queue_name and c.table_name = t.table_name
     where t.queue_name = i_queue_name
       and t.table_name = i_table_name
       and t.local;
    if not found then
        ret_code := 404;
        ret_note := 'no such local table: ' || i_table_name;
        return;
    end if;
    l_args := l_table.args;
    foreach l_arg in array i_trg_args loop
        l_args := array(select a from unnest(l_args) with ordinality u (a, nr)
                         where not starts_with(a, split_part(l_arg, '=', 1) || '=') order by nr) || l_arg;
    end loop;

    -- What somebody has put beside ours would log everything twice.
    perform londiste.drop_table_triggers(i_queue_name, i_table_name)
       from pg_catalog.pg_trigger t
      where t.tgrelid = londiste.find_table_oid(l_table.dest)
        and not t.tgisinternal
        and ltrim(t.tgname, '~!') not in (l_base, 'zzz_' || l_base, l_base || '_truncate')
        and londiste.is_replica_func(t.tgfoid)
        and substring(t.tgargs for length(l_queue)) = l_queue
      limit 1;
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.create_trigger(i_queue_name, i_table_name, l_args, l_table.dest, l_table.node_type) f;
    if ret_code = 200 then
        -- Those of a partition can be disabled alone.
        for l_part in
            select format('%I.%I', n.nspname, c.relname) as name, t.tgname
              from pg_catalog.pg_partition_tree(londiste.find_table_oid(l_table.dest)) p
              join pg_catalog.pg_class c on c.oid = p.relid
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              join pg_catalog.pg_trigger t on t.tgrelid = p.relid
             where p.isleaf
               and t.tgparentid <> 0
               and t.tgenabled in ('D', 'R')
               and londiste.is_replica_func(t.tgfoid)
               and substring(t.tgargs for length(l_queue)) = l_queue
             order by 1, 2
        loop
            execute format('alter table %s enable trigger %I', l_part.name, l_part.tgname);
        end loop;
        perform londiste._remember_capture(i_queue_name, i_table_name, false);
    end if;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
