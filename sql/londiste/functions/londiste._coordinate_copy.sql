-- ----------------------------------------------------------------------
-- londiste._coordinate_copy(queue, table): part of one copy when several queues
--   are copied into one table.
--
--   Parts are the local rows of sibling queues (same combined queue, or none)
--   with the same local table that are not `ok` yet.  The lead - who has dropped
--   the table's constraints, else the lowest queue name - drops them, all load,
--   and the lead puts them back when everybody has loaded.
--
-- Returns one row:
--   copy_role   lead         drop constraints, load, wait for others, restore
--               wait-copy    do not load before the lead has dropped constraints
--               wait-replay  load (if not done), do not replay before the restore
--               NULL         go on alone
--   copy_pos    how many parts are loading before this one
-- ----------------------------------------------------------------------
create or replace function londiste._coordinate_copy(
    in i_queue_name text,
    in i_table_name text,
    out copy_role text,
    out copy_pos int4)
returns record
as $$
declare
    l_self record;
    l_total int4;
    l_done int4;
    l_before int4;
    l_lead text;
    l_ddl_lead text;
begin
    copy_pos := 0;

    select t.merge_state, coalesce(t.dest_table, t.table_name) as dest_table, n.combined_queue
      into l_self
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where t.queue_name = i_queue_name
       and t.table_name = i_table_name
       and t.merge_state in ('in-copy', 'catching-up');
    if not found then
        return;
    end if;

    select count(*),
           count(*) filter (where t.merge_state <> 'in-copy'),
           count(*) filter (where t.merge_state = 'in-copy' and t.queue_name < i_queue_name),
           min(t.queue_name),
           min(t.queue_name) filter (where t.dropped_ddl is not null)
      into l_total, l_done, l_before, l_lead, l_ddl_lead
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where coalesce(t.dest_table, t.table_name) = l_self.dest_table
       and n.combined_queue is not distinct from l_self.combined_queue
       and t.local
       and t.merge_state is distinct from 'ok';
    if l_total <= 1 then
        return;
    end if;
    l_lead := coalesce(l_ddl_lead, l_lead);

    if l_self.merge_state = 'in-copy' then
        if l_lead <> i_queue_name then
            copy_pos := l_before;
            copy_role := case when l_ddl_lead is not null or l_done > 0 then 'wait-replay'
                              else 'wait-copy' end;
        elsif l_ddl_lead is null and l_done > 0 then
            -- too late to lead: somebody loads with constraints in place
            copy_role := 'wait-replay';
        else
            copy_role := 'lead';
        end if;
    elsif l_ddl_lead is not null and (l_lead <> i_queue_name or l_done < l_total) then
        copy_role := 'wait-replay';
    end if;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
