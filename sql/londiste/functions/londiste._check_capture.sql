-- ----------------------------------------------------------------------
-- londiste._check_capture(queue, table, dest, node_type): would a trigger of this
--   queue on the table log a change twice, under the wrong name, or its own work?
--
-- Returns:  200, or 400/405 with a note for the caller of local_add_table()
-- ----------------------------------------------------------------------
create or replace function londiste._check_capture(
    in i_queue_name text,
    in i_table_name text,
    in i_dest_table text,
    in i_node_type text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_rel oid = londiste.find_table_oid(i_dest_table);
    l_other text;
begin
    ret_code := 200;
    ret_note := 'OK';

    perform 1 from londiste.split_fqname(i_dest_table) f
      where f.schema_part in ('pgq', 'pgq_ext', 'pgq_coop', 'pgq_node', 'londiste');
    if found then
        ret_code := 400;
        ret_note := format('Table %s belongs to replication itself', i_dest_table);
        return;
    end if;
    if i_node_type = 'leaf' then
        return;
    end if;

    perform 1 from londiste.split_fqname(i_table_name) f
      where f.name_part like '%.%';
    if found then
        ret_code := 400;
        ret_note := format('Table %s has a dot in its name, which not every reader of its events understands: '
                           'use ALTER TABLE ... RENAME TO, or --dest-table with another queue name', i_table_name);
        return;
    end if;

    select t.table_name into l_other
      from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.local
       and t.table_name <> i_table_name
       and coalesce(t.dest_table, t.table_name) = i_dest_table
     order by 1 limit 1;
    if found then
        ret_code := 405;
        ret_note := format('Table %s is captured for queue %s as %s already, use remove-table on that first',
                           i_dest_table, i_queue_name, l_other);
        return;
    end if;

    -- A partitioned table's trigger is also on its partitions.
    select t.table_name into l_other
      from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.local
       and t.table_name <> i_table_name
       and londiste.find_table_oid(coalesce(t.dest_table, t.table_name)) in (
            select a.relid from pg_catalog.pg_partition_ancestors(l_rel) a
            union all
            select d.relid from pg_catalog.pg_partition_tree(l_rel) d)
     order by 1 limit 1;
    if found then
        ret_code := 405;
        ret_note := format('Changes of table %s are captured for queue %s through %s already, '
                           'use remove-table on that first', i_dest_table, i_queue_name, l_other);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
