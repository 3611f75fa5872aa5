create or replace function pgq._flush_tick()
returns void as $$
-- Has the transaction that makes a tick flushed when it commits, and with it all that the tick's batches hold.
--
-- With synchronous_commit = off, a server that crashes forgets its last transactions.  Consumers that have worked on them elsewhere would be
-- ahead, and the numbers of the lost ticks would be given to other events, which those consumers pass over.
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'local', true);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
