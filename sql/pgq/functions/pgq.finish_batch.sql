create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer as $$
-- Closes a batch: its consumer goes on after it.
--
-- Returns:
--      1, or 0 with a warning when there is no such batch
-- Tables directly manipulated:
--      update - pgq.subscription
declare
    _row tid;
begin
    loop
        select b.row_id into _row from pgq._batch(x_batch_id) b;
        if not found then
            raise warning 'finish_batch: batch % not found', x_batch_id;
            return 0;
        end if;
        update pgq.subscription s
           set sub_active = greatest(now(), s.sub_active),     -- never falls: pgq._subscription() relies on it
               sub_last_tick = s.sub_next_tick,
               sub_next_tick = null,
               sub_batch = null
         where s.ctid = _row and s.sub_batch = x_batch_id;
        if found then
            return 1;
        end if;
        -- another transaction has written the row since: look again
    end loop;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp set enable_seqscan = off;
