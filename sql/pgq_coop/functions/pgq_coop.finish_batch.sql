-- ----------------------------------------------------------------------
-- pgq_coop.finish_batch(batch): a subconsumer is done with its batch.
--
--   A batch of a plain consumer is not touched: without its ticks that consumer
--   would have lost its position.
--
-- Returns:  1; 0 and a warning when no subconsumer has the batch
-- Writes:   pgq.subscription
-- ----------------------------------------------------------------------
create or replace function pgq_coop.finish_batch(i_batch_id bigint)
returns integer
as $$
declare
    l_row tid;
begin
    loop
        select b.row_id into l_row
          from pgq._batch(i_batch_id) b
         where exists (select 1 from pgq.subscription_key m
                        where m.sub_queue = b.sub_queue
                          and m.sub_id = b.sub_id
                          and m.sub_consumer <> b.sub_consumer);
        if not found then
            raise warning 'coop_finish_batch: batch % not found', i_batch_id;
            return 0;
        end if;
        update pgq.subscription s
           set sub_active = pgq._seen(s.sub_active),
               sub_last_tick = null,
               sub_next_tick = null,
               sub_batch = null
         where s.ctid = l_row
           and s.sub_batch = i_batch_id;
        if found then
            return 1;
        end if;
        -- another transaction has written the row since: look again
    end loop;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
