-- londiste.find_table_oid(name): oid of a table, plain or partitioned; NULL when there is none.
create or replace function londiste.find_table_oid(tbl text)
returns oid
as $$
begin
    return coalesce(londiste.find_rel_oid(tbl, 'r'), londiste.find_rel_oid(tbl, 'p'));
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
