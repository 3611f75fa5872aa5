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
begin
    update pgq.subscription s
       set sub_active = greatest(now(), s.sub_active),
           sub_last_tick = null,
           sub_next_tick = null,
           sub_batch = null
     where s.sub_batch = i_batch_id
       and exists (select 1 from pgq.subscription_key m
                    where m.sub_queue = s.sub_queue
                      and m.sub_id = s.sub_id
                      and m.sub_consumer <> s.sub_consumer);
    if not found then
        raise warning 'coop_finish_batch: batch % not found', i_batch_id;
        return 0;
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off;
