-- pgq_node.version(): version of this schema; its first part is never NULL and never below 3.
create or replace function pgq_node.version()
returns text
as $$
begin
    return '4.0.0';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
