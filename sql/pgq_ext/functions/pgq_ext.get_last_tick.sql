-- pgq_ext.get_last_tick(consumer [, subconsumer]): last tick applied; NULL when none is known.
create or replace function pgq_ext.get_last_tick(a_consumer text, a_subconsumer text)
returns int8
as $$
declare
    l_tick int8;
begin
    select t.last_tick_id into l_tick
      from pgq_ext.completed_tick t
     where t.consumer_id = a_consumer
       and t.subconsumer_id = a_subconsumer
     order by t.last_tick_id desc
     limit 1;
    return l_tick;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_sort = off;

create or replace function pgq_ext.get_last_tick(a_consumer text)
returns int8
as $$
begin
    return pgq_ext.get_last_tick(a_consumer, '');
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
