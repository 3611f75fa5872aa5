-- pgq_ext.version(): version of this schema.
create or replace function pgq_ext.version()
returns text
as $$
begin
    return '4.0.0';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
