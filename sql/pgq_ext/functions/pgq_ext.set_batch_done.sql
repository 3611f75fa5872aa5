-- ----------------------------------------------------------------------
-- pgq_ext.set_batch_done(consumer, [subconsumer,] batch): remember the batch as applied.
--
-- Returns:  false when it was remembered already, else true.  Ids that no batch
--           has (0 and below) are not remembered.
-- ----------------------------------------------------------------------
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
as $$
begin
    if pgq_ext.is_batch_done(a_consumer, a_subconsumer, a_batch_id) then
        return false;
    end if;
    if a_batch_id > 0 then
        insert into pgq_ext.completed_batch as b (consumer_id, subconsumer_id, last_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id)
        on conflict (consumer_id, subconsumer_id) do update
            set last_batch_id = excluded.last_batch_id
            where b.last_batch_id <> excluded.last_batch_id;
        -- the same batch, remembered by a parallel run after the check above
        return found;
    end if;
    return true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
as $$
begin
    return pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
end;
$$ language plpgsql;
