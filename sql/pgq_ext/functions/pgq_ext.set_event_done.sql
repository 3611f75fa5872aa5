-- ----------------------------------------------------------------------
-- pgq_ext.set_event_done(consumer, [subconsumer,] batch, event): remember the event as
--   applied.  The first event of another batch forgets those of the one before.
--
-- Returns:  false when it was remembered already, else true
-- ----------------------------------------------------------------------
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
as $$
declare
    l_row tid;
    l_batch bigint;
begin
    if pgq_ext.is_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id) then
        return false;
    end if;

    loop    -- again only when another transaction got in between
        select p.ctid, p.cur_batch_id into l_row, l_batch
          from pgq_ext.partial_batch p
         where p.consumer_id = a_consumer
           and p.subconsumer_id = a_subconsumer
         order by p.cur_batch_id desc
         limit 1;
        exit when l_batch = a_batch_id;
        if l_row is not null then
            update pgq_ext.partial_batch p
               set cur_batch_id = a_batch_id
             where p.ctid = l_row
               and p.consumer_id = a_consumer
               and p.subconsumer_id = a_subconsumer
               and p.cur_batch_id = l_batch;
            exit when found;
        else
            begin
                insert into pgq_ext.partial_batch (consumer_id, subconsumer_id, cur_batch_id)
                values (a_consumer, a_subconsumer, a_batch_id);
                exit;
            exception
                when unique_violation then
                    -- made elsewhere: visible to the next round, unless this snapshot is older
                    if current_setting('transaction_isolation') <> 'read committed' then
                        raise;
                    end if;
            end;
        end if;
    end loop;
    if l_batch is distinct from a_batch_id then
        delete from pgq_ext.completed_event
         where consumer_id = a_consumer
           and subconsumer_id = a_subconsumer
           and batch_id = l_batch;
    end if;

    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_sort = off set enable_seqscan = off;

create or replace function pgq_ext.set_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
as $$
begin
    return pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
