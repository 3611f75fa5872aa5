-- ----------------------------------------------------------------------
-- pgq_node.promote_branch(queue): this branch becomes the root.
--
--   Its worker must be paused and must have applied what the old root had.
--
-- Returns:
--   200  Branch node promoted to root
--   301  node is not a branch
--   404  node not initialized
-- Writes:  pgq.queue by UPDATE, tick sequence, pgq_node.node_info, local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.promote_branch(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
    l_tick bigint;
begin
    select n.node_type, n.node_name, n.worker_name, q.queue_id, q.queue_tick_seq
      into l_node
      from pgq_node.node_info n
      left join pgq.queue q on q.queue_name = n.queue_name
     where n.queue_name = i_queue_name
       for no key update of n;
    if not found then
        ret_code := 404;
        ret_note := 'Node not initialized for queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if l_node.node_type <> 'branch' then
        ret_code := 301;
        ret_note := 'Node not branch';
        return;
    end if;

    -- from the end of the index: while a snapshot is held the ticks pile up
    select t.tick_id into l_tick
      from pgq.tick t
     where t.tick_queue = l_node.queue_id
     order by t.tick_id desc
     limit 1;
    -- before the flags: no tick of our own may come before those copied
    perform pgq.seq_setval(l_node.queue_tick_seq, l_tick);
    update pgq.queue
       set queue_disable_insert = false,
           queue_external_ticker = false
     where queue_name = i_queue_name;

    update pgq_node.node_info
       set node_type = 'root'
     where queue_name = i_queue_name;
    perform pgq_node._set_local_state(i_queue_name, l_node.worker_name, '{provider_node,last_tick_id,uptodate}',
                                      i_provider_node => l_node.node_name, i_last_tick_id => l_tick, i_uptodate => false);

    ret_code := 200;
    ret_note := 'Branch node promoted to root';
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_sort = off;
