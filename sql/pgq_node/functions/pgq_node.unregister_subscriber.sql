-- ----------------------------------------------------------------------
-- pgq_node.unregister_subscriber(queue, node)
--
--   Undo register_subscriber(): the node's worker and watermark stop holding
--   events of this queue.  A worker's name that another node is registered with, too
--   (register_subscriber() did not always refuse that), stays for that node.
--
-- Returns:  200 done, 304 not subscribed
-- Writes:   pgq_node.subscriber_info, pgq subscriptions
-- ----------------------------------------------------------------------
create or replace function pgq_node.unregister_subscriber(
    in i_queue_name text,
    in i_remote_node_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_worker text;
    l_watermark text;
begin
    -- before the consumers: their names are referred to
    delete from pgq_node.subscriber_info s
     where s.queue_name = i_queue_name
       and s.subscriber_node = i_remote_node_name
    returning s.worker_name, s.watermark_name into l_worker, l_watermark;
    if not found then
        ret_code := 304;
        ret_note := 'Subscriber not found';
        return;
    end if;

    perform pgq.unregister_consumer(i_queue_name, l_watermark);
    perform 1 from pgq_node.subscriber_info s
      where s.queue_name = i_queue_name and s.worker_name = l_worker;
    if not found then
        perform pgq.unregister_consumer(i_queue_name, l_worker);
    end if;

    ret_code := 200;
    ret_note := 'Subscriber unregistered: ' || i_remote_node_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
