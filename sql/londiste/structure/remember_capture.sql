-- What captures a table is noted when the transaction that adds it, or gives it another
-- handler, ends: only then its triggers are there.  (Replacing a constraint trigger
-- is not possible, and dropping it would lock the table.)  What is deleted is forgotten at
-- once: an event that waits would keep uninstall.sql from dropping the table.
create or replace trigger table_info_forget
    after delete on londiste.table_info
    for each row execute function londiste._table_info_capture();
do $trigger$
begin
    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'londiste.table_info'::regclass and tgname = 'table_info_capture') then
        create constraint trigger table_info_capture
            after insert or update of local, table_attrs, dest_table on londiste.table_info
            deferrable initially deferred
            for each row execute function londiste._table_info_capture();
    end if;
end
$trigger$;

-- Tables that were added before there was a note.  Those without a trigger get none: it
-- may have been lost already.
do $remember$
begin
    perform londiste._remember_capture(t.queue_name, t.table_name, false)
       from londiste.table_info t
      where t.local
        and not exists (select 1 from londiste.table_capture c
                         where c.queue_name = t.queue_name and c.table_name = t.table_name);
end
$remember$;
