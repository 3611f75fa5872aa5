-- ----------------------------------------------------------------------
-- londiste._remove_table(queue, table, everywhere): what local_remove_table() and
--   global_remove_table() (everywhere) do, but for statements on the user's table that
--   may call the user's own functions: its truncate triggers, expressions of indexes and
--   constraints.  Those may need the search_path of the caller, which this function does
--   not have; so the caller runs them, in this order.
-- ----------------------------------------------------------------------
create or replace function londiste._remove_table(
    in i_queue_name text,
    in i_table_name text,
    in i_everywhere boolean,
    out ret_code int4,
    out ret_note text,
    out statements text[])
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_row record;
    l_seq text;
begin
    statements := '{}';
    select n.node_type, n.combined_queue, t.local, t.dropped_ddl,
           coalesce(t.dest_table, t.table_name) as dest_table
      into l_row
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where t.queue_name = i_queue_name
       and t.table_name = l_table
       for update of t;
    if not found then
        ret_code := 400;
        ret_note := 'Table not found: ' || case when i_everywhere then i_table_name else l_table end;
        return;
    end if;

    if l_row.local and not (i_everywhere and l_row.node_type = 'root') then
        perform londiste.drop_table_triggers(i_queue_name, l_table);

        -- Half copied data would not fit the constraints.  What sibling queues
        -- have copied into the same table must stay.
        if l_row.dropped_ddl is not null and londiste.find_table_oid(l_row.dest_table) is not null then
            perform 1
               from londiste.table_info t
               join pgq_node.node_info n on n.queue_name = t.queue_name
              where t.queue_name <> i_queue_name
                and n.combined_queue is not distinct from l_row.combined_queue
                and coalesce(t.dest_table, t.table_name) = l_row.dest_table
                and t.local
                and t.merge_state is not null;
            if not found then
                statements := statements || format('truncate only %s', londiste.quote_fqname(l_row.dest_table));
            end if;
            statements := statements || l_row.dropped_ddl;
        end if;

        delete from londiste.copy_range where queue_name = i_queue_name and table_name = l_table;
        update londiste.table_info
           set local = false,
               merge_state = null,
               custom_snapshot = null,
               table_attrs = null,
               dropped_ddl = null,
               dest_table = null
         where queue_name = i_queue_name
           and table_name = l_table;

        for l_seq in
            select sn.nspname || '.' || s.relname
              from pg_catalog.pg_depend d
              join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
              join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
              join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
             where d.classid = 'pg_class'::regclass
               and d.refclassid = 'pg_class'::regclass
               and d.refobjid = londiste.find_table_oid(l_row.dest_table)
               and d.deptype in ('a', 'i')
               and a.atttypid in ('int4'::regtype, 'int8'::regtype)
             order by 1
        loop
            perform 1 from londiste.seq_info i
              where i.queue_name = i_queue_name and i.seq_name = l_seq and i.local;
            if found then
                perform 1 from londiste.local_remove_seq(i_queue_name, l_seq);
            end if;
        end loop;
    elsif l_row.node_type <> 'root' and not i_everywhere then
        ret_code := 400;
        ret_note := 'Table not registered locally: ' || l_table;
        return;
    end if;

    if l_row.node_type = 'root' or i_everywhere then
        delete from londiste.table_info
         where queue_name = i_queue_name
           and table_name = l_table;
    end if;
    if l_row.node_type = 'root' and not i_everywhere then
        perform londiste.root_notify_change(i_queue_name, 'londiste.remove-table', l_table);
    end if;

    ret_code := 200;
    ret_note := 'Table removed: ' || case when i_everywhere then i_table_name else l_table end;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
