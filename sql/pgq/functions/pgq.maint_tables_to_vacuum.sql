create or replace function pgq.maint_tables_to_vacuum()
returns setof text as $$
-- Names the small, often updated tables that need VACUUM, when autovacuum is off.
begin
    if pg_catalog.current_setting('autovacuum') = 'on' then
        return;
    end if;
    return query
    select t.name
      from pg_catalog.unnest(array[
            'pgq.subscription', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue',
            'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event', 'pgq_ext.partial_batch',
            'pgq_node.local_state', 'londiste.seq_info', 'txid.epoch', 'londiste.completed'])
           with ordinality t (name, nr)
           join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(t.name) and c.relkind = 'r'
     order by t.nr;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
