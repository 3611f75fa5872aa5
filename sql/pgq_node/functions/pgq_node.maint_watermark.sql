-- ----------------------------------------------------------------------
-- pgq_node.maint_watermark(queue): called by pgqd for every root.  When no worker
--   has published the global watermark for 5 minutes, publish it here.
--
--   A root that takes no events (between demote and promote) is left alone:
--   nothing could be published and pgqd would report an error every round.
--
-- Returns:  0
-- ----------------------------------------------------------------------
create or replace function pgq_node.maint_watermark(i_queue_name text)
returns int4
as $$
begin
    perform 1
       from pgq_node.node_info n
       join pgq.queue q on q.queue_name = n.queue_name
      where n.queue_name = i_queue_name
        and n.node_type = 'root'
        and not q.queue_disable_insert;
    if not found then
        return 0;
    end if;

    perform 1 from pgq.get_consumer_info(i_queue_name, '.global_watermark') i
      where i.lag >= interval '5 minutes';
    if found then
        perform 1 from pgq_node.set_global_watermark(i_queue_name, null);
    end if;
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
