-- ----------------------------------------------------------------------
-- londiste.global_remove_table(queue, table): the table leaves the cascade; with it
--   its local registration and capture.
--
-- Returns:  200 removed, 400 not found
-- Writes:   londiste.table_info
-- ----------------------------------------------------------------------
create or replace function londiste.global_remove_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_row record;
begin
    select n.node_type, t.local into l_row
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where t.queue_name = i_queue_name
       and t.table_name = l_table
       for update of t;
    if not found then
        ret_code := 400;
        ret_note := 'Table not found: ' || i_table_name;
        return;
    end if;

    if l_row.local and l_row.node_type <> 'root' then
        perform 1 from londiste.local_remove_table(i_queue_name, l_table);
    end if;
    delete from londiste.table_info
     where queue_name = i_queue_name
       and table_name = l_table;

    ret_code := 200;
    ret_note := 'Table removed: ' || i_table_name;
end;
$$ language plpgsql strict;
