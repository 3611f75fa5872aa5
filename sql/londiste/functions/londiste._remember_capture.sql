-- ----------------------------------------------------------------------
-- londiste._remember_capture(queue, table [, none]): what captures the table now is as
--   it should be; _lost_capture() compares with that from now on.
--
-- Arguments:
--   i_none   whether it is as it should be, too, when nothing does (default).  If
--            not, what was noted before stays.
-- ----------------------------------------------------------------------
create or replace function londiste._remember_capture(i_queue_name text, i_table_name text, i_none boolean default true)
returns void
as $$
declare
    l_args text[];
begin
    select londiste._capture_args(t.queue_name, t.table_name, coalesce(t.dest_table, t.table_name), n.node_type) into l_args
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where t.queue_name = i_queue_name
       and t.table_name = i_table_name
       and t.local;
    if not found or l_args is null and not i_none then
        return;
    end if;
    insert into londiste.table_capture as c (queue_name, table_name, trg_args)
    values (i_queue_name, i_table_name, coalesce(l_args, '{no_triggers}'))
    on conflict (queue_name, table_name) do update
       set trg_args = excluded.trg_args
     where c.trg_args is distinct from excluded.trg_args;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
