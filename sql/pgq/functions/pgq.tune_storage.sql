create or replace function pgq.tune_storage(i_queue_name text)
returns integer as $$
-- Sets storage options of event tables: rows are never updated, and TRUNCATE cleans them.
--
-- Returns:
--      1, or 0 when there is no such queue
declare
    _q pgq.queue%rowtype;
begin
    select * into _q from pgq.queue where queue_name = i_queue_name;
    if not found then
        return 0;
    end if;
    for i in 0 .. _q.queue_ntables - 1 loop
        execute pg_catalog.format(
            'alter table %s set (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)',
            pgq.quote_fqname(_q.queue_data_pfx || '_' || i::text));
    end loop;
    return 1;
end;
$$ language plpgsql strict;
