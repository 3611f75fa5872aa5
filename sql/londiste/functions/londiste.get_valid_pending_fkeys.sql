-- ----------------------------------------------------------------------
-- londiste.get_valid_pending_fkeys(queue): dropped foreign keys that this queue's
--   worker should put back now.
--
--   Both tables are replicated here and in sync in every queue that writes them:
--   state ok, and no snapshot left that still hides events.  One queue is elected
--   among those: where leafs merge into a root the lowest of them, where they
--   wait behind a branch that branch, else the lowest queue that has a worker
--   applying events (not a root).
-- ----------------------------------------------------------------------
create or replace function londiste.get_valid_pending_fkeys(i_queue_name text)
returns setof londiste.pending_fkeys
as $$
begin
    return query
        with ends as (
            select k.from_table, k.fkey_name, k.to_table,
                   coalesce(t.dest_table, t.table_name) as dest,
                   t.queue_name, t.merge_state, t.custom_snapshot,
                   n.node_type, n.combined_queue, c.node_type as combined_type
              from londiste.pending_fkeys k
              join londiste.table_info t
                on t.local and coalesce(t.dest_table, t.table_name) in (k.from_table, k.to_table)
              join pgq_node.node_info n on n.queue_name = t.queue_name
              left join pgq_node.node_info c on c.queue_name = n.combined_queue
        ), ready as (
            select e.from_table, e.fkey_name,
                   coalesce(min(e.queue_name) filter (where e.node_type = 'leaf' and e.combined_type = 'root'),
                            min(e.combined_queue) filter (where e.node_type = 'leaf' and e.combined_type = 'branch'),
                            min(e.queue_name) filter (where e.node_type <> 'root'),
                            min(e.queue_name)) as elected
              from ends e
             group by e.from_table, e.fkey_name
            having bool_and(coalesce(e.merge_state = 'ok', false) and e.custom_snapshot is null)
               and bool_or(e.dest = e.from_table)
               and bool_or(e.dest = e.to_table)
               and bool_or(e.queue_name = i_queue_name)
        )
        select k.*
          from londiste.pending_fkeys k
          join ready r on r.from_table = k.from_table and r.fkey_name = k.fkey_name
         where r.elected = i_queue_name
         order by k.from_table, k.fkey_name;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
