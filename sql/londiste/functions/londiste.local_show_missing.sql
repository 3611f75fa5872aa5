-- ----------------------------------------------------------------------
-- londiste.local_show_missing(queue)
--
--   Root: tables and sequences of this database that are not replicated by the
--   queue.  Partitions are listed, not their parent: an event is logged once,
--   on one of the two, and those of a replicated parent are not missing.
--   Other nodes: tables and sequences of the queue that are not local.
--
-- Returns rows (obj_kind r or S, obj_name schema.name)
-- ----------------------------------------------------------------------
create or replace function londiste.local_show_missing(
    in i_queue_name text,
    out obj_kind text,
    out obj_name text)
returns setof record
as $$
begin
    if pgq_node.is_root_node(i_queue_name) then
        return query
            with registered as materialized (
                select coalesce(t.dest_table, t.table_name) as name
                  from londiste.table_info t
                 where t.queue_name = i_queue_name and t.local
                union all
                select s.seq_name
                  from londiste.seq_info s
                 where s.queue_name = i_queue_name and s.local
            ), parents as materialized (
                select r.name, londiste.find_rel_oid(r.name, 'p') as oid from registered r
            )
            select c.relkind::text, n.nspname || '.' || c.relname
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'S')
               and c.relpersistence <> 't'
               and n.nspname not in ('pgq', 'pgq_ext', 'pgq_coop', 'pgq_node', 'londiste',
                                     'pg_catalog', 'information_schema')
               and n.nspname not like 'pg\_%'
               and not exists (select 1 from registered r
                                where r.name = n.nspname || '.' || c.relname)
               and not (c.relispartition
                        and exists (select 1
                                      from pg_catalog.pg_partition_ancestors(c.oid) a
                                      join parents p on p.oid = a.relid))
             order by 1, 2;
    else
        return query
            select 'r', t.table_name
              from londiste.table_info t
             where t.queue_name = i_queue_name and not t.local
            union all
            select 'S', s.seq_name
              from londiste.seq_info s
             where s.queue_name = i_queue_name and not s.local
             order by 1, 2;
    end if;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
