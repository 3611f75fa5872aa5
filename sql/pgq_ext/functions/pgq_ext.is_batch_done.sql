-- pgq_ext.is_batch_done(consumer, [subconsumer,] batch): whether this is the last batch
-- applied; earlier ones are not remembered.
create or replace function pgq_ext.is_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
as $$
begin
    perform 1 from pgq_ext.completed_batch
      where consumer_id = a_consumer
        and subconsumer_id = a_subconsumer
        and last_batch_id = a_batch_id;
    return found;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_seqscan = off;

create or replace function pgq_ext.is_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
as $$
begin
    return pgq_ext.is_batch_done(a_consumer, '', a_batch_id);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
