create or replace function pgq.apply_token(i_queue_name text)
returns text as $$
-- Returns the token that lets a session change replicated tables of a queue without being logged or denied.
--
-- A worker that may not set session_replication_role = replica runs
--      select set_config('skytools.apply_token', pgq.apply_token('queue'), false)
-- on its connection.  Executing this function is what makes a worker, so PUBLIC may not.
--
-- The name is that of the queue or cascade: a leaf has no queue of its own.
--
-- Tables directly manipulated:
--      insert - pgq.apply_token
declare
    _token text;
begin
    insert into pgq.apply_token (queue_name, token)
        values (i_queue_name, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
        on conflict (queue_name) do nothing;
    select t.token into _token from pgq.apply_token t where t.queue_name = i_queue_name;
    return _token;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._apply_allowed(i_queue_name text)
returns boolean as $$
-- Tells whether this session has shown the apply token of the queue.
--
-- Tables read:
--      pgq.apply_token
declare
    _shown text := current_setting('skytools.apply_token', true);
begin
    if coalesce(_shown, '') = '' then
        return false;
    end if;
    return exists (select 1 from pgq.apply_token t where t.queue_name = i_queue_name and t.token = _shown);
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pgq, pg_temp;
