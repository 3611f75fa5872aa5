-- londiste.local_set_table_attrs(queue, table, attrs): replace a local table's attributes.
-- Returns: 200 stored, 404 no such local table
create or replace function londiste.local_set_table_attrs(
    in i_queue_name text,
    in i_table_name text,
    in i_table_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    update londiste.table_info
       set table_attrs = i_table_attrs
     where queue_name = i_queue_name
       and table_name = londiste.make_fqname(i_table_name)
       and local;
    if found then
        ret_code := 200;
        ret_note := i_table_name || ': Table attributes stored';
    else
        ret_code := 404;
        ret_note := 'no such local table: ' || coalesce(i_table_name, 'NULL');
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
