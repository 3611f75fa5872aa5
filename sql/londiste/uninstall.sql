-- Remove schema londiste.  Capture on tables goes first: without it the triggers
-- would go on filling the queues.  Tables and their data stay.
do $uninstall$
begin
    if to_regclass('londiste.table_info') is not null then
        delete from londiste.table_info;
    end if;
end
$uninstall$;
drop schema if exists londiste cascade;
