-- ----------------------------------------------------------------------
-- londiste.drop_table_triggers(queue, table): take all capture for this queue off a
--   table, whatever the triggers are called.
-- ----------------------------------------------------------------------
create or replace function londiste.drop_table_triggers(in i_queue_name text, in i_table_name text)
returns void
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_dest text;
    l_queue bytea = londiste._trigger_args(array[i_queue_name]);
    l_trigger record;
begin
    select coalesce(t.dest_table, t.table_name) into l_dest
      from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.table_name = l_table;
    l_dest := coalesce(l_dest, l_table);

    -- pgq is not on the search_path: regproc names it
    for l_trigger in
        select t.tgname, n.nspname, c.relname,
               t.tgfoid::regproc::text ~ '^pgq\._capture_[0-9]+$' as generated
          from pg_catalog.pg_trigger t
          join pg_catalog.pg_class c on c.oid = t.tgrelid
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where t.tgrelid = londiste.find_table_oid(l_dest)
           and not t.tgisinternal
           and t.tgparentid = 0
           and londiste.is_replica_func(t.tgfoid)
           and substring(t.tgargs for length(l_queue)) = l_queue
         -- generated ones are several: the one whose name the capture has comes last, and with it the function goes
         order by t.tgname ~ '^[~!]' desc, t.tgname desc
    loop
        execute format('drop trigger %I on %s', l_trigger.tgname, londiste.quote_fqname(l_dest));
        if l_trigger.generated then
            perform pgq._capture_forget(i_queue_name, l_trigger.nspname, l_trigger.relname, l_trigger.tgname);
        end if;
    end loop;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
