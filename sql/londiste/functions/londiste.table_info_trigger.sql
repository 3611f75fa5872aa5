-- londiste.table_info_trigger(): a table that leaves the list loses its capture.
create or replace function londiste.table_info_trigger()
returns trigger
as $$
begin
    if TG_OP = 'DELETE' then
        perform londiste.drop_table_triggers(OLD.queue_name, OLD.table_name);
        return OLD;
    end if;
    return NEW;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
