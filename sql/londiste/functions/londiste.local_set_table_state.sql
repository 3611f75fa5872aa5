-- ----------------------------------------------------------------------
-- londiste.local_set_table_state(queue, table, snapshot, merge_state)
--
--   Set where the table is between copy and replay; (NULL, NULL) asks for a new
--   copy.
--
-- Returns:
--   200  set
--   404  no such table
--   405  the copy has dropped objects that it must put back first
-- Writes:  londiste.table_info, copy_range
-- ----------------------------------------------------------------------
create or replace function londiste.local_set_table_state(
    in i_queue_name text,
    in i_table_name text,
    in i_snapshot text,
    in i_merge_state text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
begin
    update londiste.table_info
       set custom_snapshot = i_snapshot,
           merge_state = i_merge_state
     where queue_name = i_queue_name
       and table_name = l_table
       and local
       and (dropped_ddl is null or i_merge_state in ('in-copy', 'catching-up'));
    if found then
        if i_merge_state is null or i_merge_state = 'ok' then
            delete from londiste.copy_range where queue_name = i_queue_name and table_name = l_table;
        end if;
        ret_code := 200;
        ret_note := format('Table %s state set to %L', l_table, i_merge_state);
        return;
    end if;

    perform 1 from londiste.table_info
      where queue_name = i_queue_name
        and table_name = l_table
        and local;
    if found then
        ret_code := 405;
        ret_note := format('Table %s: its copy has dropped constraints or indexes that are not back yet, '
                           'let it finish or run: copy %s', l_table, l_table);
    else
        ret_code := 404;
        ret_note := 'No such table: ' || coalesce(l_table, 'NULL');
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
