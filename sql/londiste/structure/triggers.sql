-- A table that leaves the list, also because its node is dropped, is not captured
-- any more.
create or replace trigger table_info_trigger_sync
    before delete on londiste.table_info
    for each row execute function londiste.table_info_trigger();
