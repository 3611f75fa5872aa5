-- ----------------------------------------------------------------------
-- pgq_node.set_partition_watermark(combined_queue, part_queue, tick)
--
--   On a branch of a combined queue: the stream says that it holds all of
--   part_queue up to tick, so the waiting leaf of part_queue may move there.
--
-- Returns:
--   200  Ok
--   201  no such leaf merges into a branch here: nothing to do
--   401  the leaf's worker is not registered
-- Writes:  pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_partition_watermark(
    in i_combined_queue_name text,
    in i_part_queue_name text,
    in i_watermark bigint,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_worker text;
begin
    select p.worker_name into l_worker
      from pgq_node.node_info p
      join pgq_node.node_info c on c.queue_name = p.combined_queue
     where p.queue_name = i_part_queue_name
       and p.node_type = 'leaf'
       and p.combined_queue = i_combined_queue_name
       and c.node_type = 'branch';
    if not found then
        ret_code := 201;
        ret_note := 'Part-queue does not exist';
        return;
    end if;

    if not pgq_node._set_local_state(i_part_queue_name, l_worker, '{last_tick_id}', i_last_tick_id => i_watermark) then
        ret_code := 401;
        ret_note := 'Worker registration not found';
        return;
    end if;

    ret_code := 200;
    ret_note := 'Ok';
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
