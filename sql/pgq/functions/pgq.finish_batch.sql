create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer as $$
-- Closes a batch: its consumer goes on after it.
--
-- Returns:
--      1, or 0 with a warning when there is no such batch
-- Tables directly manipulated:
--      update - pgq.subscription
begin
    loop
        update pgq.subscription s
           set sub_active = pgq._seen(s.sub_active),     -- does not fall: pgq._subscription() relies on it
               sub_last_tick = s.sub_next_tick,
               sub_next_tick = null,
               sub_batch = null
         where s.ctid = (     -- as pgq._batch() does
                    select v.ctid
                      from pgq.subscription v
                     where v.sub_batch >= x_batch_id and v.sub_batch <= x_batch_id
                     order by v.sub_batch desc
                     limit 1)
           and s.sub_batch = x_batch_id;
        if found then
            return 1;
        end if;
        -- either there is no such batch, or another transaction has written its row since
        perform 1 from pgq._batch(x_batch_id);
        if not found then
            raise warning 'finish_batch: batch % not found', x_batch_id;
            return 0;
        end if;
    end loop;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp set enable_sort = off;
