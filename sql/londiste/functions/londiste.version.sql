-- londiste.version(): version of this schema.  Clients parse it as dotted numbers;
-- 3.7 and later have the three-argument restore_table_fkey().
create or replace function londiste.version()
returns text
as $$
begin
    return '4.0.0';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
