-- londiste.get_table_pending_fkeys(table): dropped foreign keys of the table and to the table.
create or replace function londiste.get_table_pending_fkeys(i_table_name text)
returns setof londiste.pending_fkeys
as $$
begin
    return query
        select k.*
          from londiste.pending_fkeys k
         where londiste.make_fqname(i_table_name) in (k.from_table, k.to_table)
         order by k.from_table, k.fkey_name;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
