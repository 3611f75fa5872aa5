-- ----------------------------------------------------------------------
-- pgq_ext.upgrade_schema(): give tables of SkyTools 2 their subconsumer column, as
--   part of the primary key.
--
-- Returns:  number of changes made, two for each table
-- ----------------------------------------------------------------------
create or replace function pgq_ext.upgrade_schema()
returns int4
as $$
declare
    l_table record;
    l_pkey text;
    cnt int4 = 0;
begin
    for l_table in
        select * from (values ('completed_tick', 'consumer_id, subconsumer_id'),
                              ('completed_batch', 'consumer_id, subconsumer_id'),
                              ('completed_event', 'consumer_id, subconsumer_id, batch_id, event_id'),
                              ('partial_batch', 'consumer_id, subconsumer_id')) v (name, key)
    loop
        perform 1 from pg_catalog.pg_attribute a
          where a.attrelid = format('pgq_ext.%I', l_table.name)::regclass
            and a.attname = 'subconsumer_id'
            and not a.attisdropped;
        if found then
            -- installed without a default by version 3.0
            execute format('alter table pgq_ext.%I alter column subconsumer_id set default %L', l_table.name, '');
            continue;
        end if;

        execute format('alter table pgq_ext.%I add column subconsumer_id text not null default %L', l_table.name, '');
        select k.conname into l_pkey
          from pg_catalog.pg_constraint k
         where k.conrelid = format('pgq_ext.%I', l_table.name)::regclass
           and k.contype = 'p';
        if found then
            execute format('alter table pgq_ext.%I drop constraint %I', l_table.name, l_pkey);
        end if;
        execute format('alter table pgq_ext.%I add constraint %I primary key (%s)',
                       l_table.name, l_table.name || '_pkey', l_table.key);
        cnt := cnt + 2;
    end loop;
    return cnt;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
