-- ----------------------------------------------------------------------
-- pgq_ext.set_batch_done(consumer, [subconsumer,] batch): remember the batch as applied.
--
-- Returns:  false when it was remembered already, else true.  Ids that no batch
--           has (0 and below) are not remembered.
-- ----------------------------------------------------------------------
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
as $$
declare
    l_row tid;
    l_batch bigint;
begin
    loop    -- again only when another transaction got in between
        select b.ctid, b.last_batch_id into l_row, l_batch
          from pgq_ext.completed_batch b
         where b.consumer_id = a_consumer
           and b.subconsumer_id = a_subconsumer
         order by b.last_batch_id desc
         limit 1;
        if l_batch = a_batch_id then
            return false;
        elsif a_batch_id is null or a_batch_id <= 0 then
            return true;
        elsif l_row is not null then
            update pgq_ext.completed_batch b
               set last_batch_id = a_batch_id
             where b.ctid = l_row
               and b.consumer_id = a_consumer
               and b.subconsumer_id = a_subconsumer
               and b.last_batch_id = l_batch;
            if found then
                return true;
            end if;
        else
            begin
                insert into pgq_ext.completed_batch (consumer_id, subconsumer_id, last_batch_id)
                values (a_consumer, a_subconsumer, a_batch_id);
                return true;
            exception
                when unique_violation then
                    -- made elsewhere: visible to the next round, unless this snapshot is older
                    if current_setting('transaction_isolation') <> 'read committed' then
                        raise;
                    end if;
            end;
        end if;
    end loop;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_sort = off;

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
as $$
begin
    return pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
