-- londiste.upgrade_schema(): kept for callers of old; structure/tables.sql brings the
-- tables up to date.  Returns 0.
create or replace function londiste.upgrade_schema()
returns int4
as $$
begin
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
