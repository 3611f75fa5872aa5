-- ----------------------------------------------------------------------
-- londiste.set_session_replication_role(role, is_local)
--
--   Set session_replication_role to origin, replica or local, for this
--   transaction only when is_local.  SECURITY DEFINER, for workers that may not
--   set it themselves: the owner must be allowed to.
--
-- Raises:  insufficient_privilege when the owner is not allowed, see
--          can_set_replica_role(); an exception for another value
-- ----------------------------------------------------------------------
create or replace function londiste.set_session_replication_role(val text, is_local bool)
returns void
as $$
begin
    if val is null or val not in ('origin', 'replica', 'local') then
        raise exception 'bad value for session_replication_role'
            using detail = format('Got: %s', coalesce(val, 'NULL')),
                  hint = 'Use origin, replica or local.';
    end if;
    if not londiste.can_set_replica_role() then
        raise exception 'role "%", owner of londiste.set_session_replication_role, may not set session_replication_role',
                current_user
            using errcode = 'insufficient_privilege',
                  hint = case when current_setting('server_version_num')::int4 >= 150000
                      then format('As superuser: grant set on parameter session_replication_role to %I', current_user)
                      else 'Before PostgreSQL 15 the function must be owned by a superuser.' end
                      || ' Without that right workers apply with a token, see pgq.apply_token().';
    end if;
    perform set_config('session_replication_role', val, coalesce(is_local, false));
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
