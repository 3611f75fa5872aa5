-- londiste.periodic_maintenance(): called by pgqd.  Forgets scripts applied more than
-- 3 months ago.  Returns 0.
create or replace function londiste.periodic_maintenance()
returns integer
as $$
begin
    delete from londiste.applied_execute
     where execute_time < now() - interval '3 months';
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
