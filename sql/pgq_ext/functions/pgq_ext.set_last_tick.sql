-- pgq_ext.set_last_tick(consumer, [subconsumer,] tick): remember the last tick applied;
-- NULL forgets it.  Returns 1.
create or replace function pgq_ext.set_last_tick(a_consumer text, a_subconsumer text, a_tick_id bigint)
returns integer
as $$
declare
    l_row tid;
begin
    loop    -- again only when another transaction got in between
        select t.ctid into l_row
          from pgq_ext.completed_tick t
         where t.consumer_id = a_consumer
           and t.subconsumer_id = a_subconsumer
         order by t.last_tick_id desc
         limit 1;
        if found and a_tick_id is null then
            delete from pgq_ext.completed_tick t
             where t.ctid = l_row
               and t.consumer_id = a_consumer
               and t.subconsumer_id = a_subconsumer;
            exit when found;
        elsif found then
            update pgq_ext.completed_tick t
               set last_tick_id = a_tick_id
             where t.ctid = l_row
               and t.consumer_id = a_consumer
               and t.subconsumer_id = a_subconsumer;
            exit when found;
        elsif a_tick_id is null then
            exit;
        else
            begin
                insert into pgq_ext.completed_tick (consumer_id, subconsumer_id, last_tick_id)
                values (a_consumer, a_subconsumer, a_tick_id);
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
    return 1;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_sort = off;

create or replace function pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint)
returns integer
as $$
begin
    return pgq_ext.set_last_tick(a_consumer, '', a_tick_id);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
