-- ----------------------------------------------------------------------
-- londiste._trigger_base_name(queue): name of the row trigger that captures a
--   table for this queue.  With the longest prefix and suffix put to it the name
--   must fit into 63 bytes, or two triggers would get one name: longer queue
--   names are replaced by their hash.
-- ----------------------------------------------------------------------
create or replace function londiste._trigger_base_name(i_queue_name text)
returns text
as $$
begin
    if octet_length(i_queue_name) <= 63 - octet_length('zzz_' || '_londiste_' || '_truncate') then
        return '_londiste_' || i_queue_name;
    end if;
    return '_londiste_' || md5(i_queue_name);
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
