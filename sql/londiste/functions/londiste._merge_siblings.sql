-- ----------------------------------------------------------------------
-- londiste._merge_siblings(queue, table, dest, trg_args, attrs, state, merge_all)
--
--   A leaf adds a table that other queues of this database (leafs of the same
--   combined queue, or of none) also have: with merge_all it becomes local in
--   all of them, otherwise only one of them may have it.  Then the combined
--   queue gets it.
--
-- Returns:  200, or the error code and note for the caller of local_add_table()
-- Writes:   londiste.table_info, triggers
-- ----------------------------------------------------------------------
create or replace function londiste._merge_siblings(
    in i_queue_name text,
    in i_table_name text,
    in i_dest_table text,
    in i_trg_args text[],
    in i_table_attrs text,
    in i_state text,
    in i_merge_all boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
    l_desc text = i_table_name || case when i_dest_table <> i_table_name
                                       then '(' || i_dest_table || ')' else '' end;
    l_sibling record;
begin
    select n.combined_queue, c.node_type as combined_type into l_node
      from pgq_node.node_info n
      left join pgq_node.node_info c on c.queue_name = n.combined_queue
     where n.queue_name = i_queue_name;

    for l_sibling in
        select t.queue_name, t.table_name, t.local, n.node_type
          from pgq_node.node_info n
          join londiste.table_info t on t.queue_name = n.queue_name
         where n.queue_name <> i_queue_name
           and n.combined_queue is not distinct from l_node.combined_queue
           and coalesce(t.dest_table, t.table_name) = i_dest_table
         order by t.queue_name, t.nr
           for update of t
    loop
        if coalesce(i_state, '') <> 'ok' then
            if l_sibling.local then
                ret_code := 405;
                ret_note := format('Found local table %s in queue %s, use remove-table first '
                                   'to remove all previous table subscriptions',
                                   l_desc, l_sibling.queue_name);
                return;
            elsif not i_merge_all then
                ret_code := 405;
                ret_note := format('Found multiple sources for table %s, use merge-all or no-merge to continue',
                                   l_desc);
                return;
            end if;
        end if;
        continue when l_sibling.local or l_sibling.node_type <> 'leaf';

        update londiste.table_info
           set local = true,
               merge_state = i_state,
               table_attrs = coalesce(i_table_attrs, table_attrs)
         where queue_name = l_sibling.queue_name
           and table_name = l_sibling.table_name;
        select f.ret_code, f.ret_note into ret_code, ret_note
          from londiste.create_trigger(l_sibling.queue_name, l_sibling.table_name, i_trg_args,
                                       i_dest_table, l_sibling.node_type) f;
        if ret_code > 299 then
            ret_note := format('Trigger creation failed for table %s of queue %s: %s',
                               l_desc, l_sibling.queue_name, ret_note);
            return;
        end if;
    end loop;

    ret_code := 200;
    ret_note := 'OK';
    if l_node.combined_type in ('root', 'branch') then
        perform 1 from londiste.table_info t
          where t.queue_name = l_node.combined_queue
            and t.table_name = i_table_name
            and t.local;
        if not found then
            select f.ret_code, f.ret_note into ret_code, ret_note
              from londiste.local_add_table(l_node.combined_queue, i_table_name, i_trg_args,
                                            i_table_attrs, i_dest_table) f;
        end if;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
