-- ----------------------------------------------------------------------
-- londiste.can_set_replica_role(): whether set_session_replication_role() will
--   work: its owner, who also owns this function, is superuser or (PostgreSQL 15)
--   has been granted SET on the parameter.
--
--   The setting is tried out, with its present value: services have their own
--   ways to grant it.
-- ----------------------------------------------------------------------
create or replace function londiste.can_set_replica_role()
returns boolean
as $$
begin
    perform set_config('session_replication_role',
                       current_setting('session_replication_role'), true);
    return true;
exception when insufficient_privilege then
    return false;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
