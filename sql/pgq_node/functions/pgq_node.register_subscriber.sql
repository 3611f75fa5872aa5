-- ----------------------------------------------------------------------
-- pgq_node.register_subscriber(queue, node, worker, custom_tick)
--
--   Let another node read from this one.  Its worker becomes a consumer of the
--   local queue at custom_tick (NULL: at the global watermark), and the
--   consumer `.<node>.watermark` keeps what the node and those below it need.
--
-- Returns:
--   200  Subscriber registered; global_watermark is filled
--   401  this node is a leaf
--   403  the worker's name is taken here: by another node, or by a consumer that
--        is no node's worker
--   404  unknown queue
-- Raises:  when the node is subscribed already, has no location, or the tick
--          does not exist
-- Writes:  pgq_node.subscriber_info, pgq subscriptions
-- ----------------------------------------------------------------------
create or replace function pgq_node.register_subscriber(
    in i_queue_name text,
    in i_remote_node_name text,
    in i_remote_worker_name text,
    in i_custom_tick_id int8,
    out ret_code int4,
    out ret_note text,
    out global_watermark bigint)
returns record
as $$
declare
    l_type text;
    l_watermark bigint;
    l_watermark_name text = '.' || i_remote_node_name || '.watermark';
    l_owner text;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if l_type = 'leaf' then
        ret_code := 401;
        ret_note := 'Cannot subscribe to leaf node';
        return;
    end if;

    perform 1 from pgq_node.node_location
      where queue_name = i_queue_name and node_name = i_remote_node_name;
    if not found then
        raise exception 'location of node "%" is not known for queue "%"',
                i_remote_node_name, i_queue_name
            using errcode = 'foreign_key_violation',
                  hint = 'Register it with pgq_node.register_location() first.';
    end if;
    perform 1 from pgq_node.subscriber_info
      where queue_name = i_queue_name and subscriber_node = i_remote_node_name;
    if found then
        raise exception 'node "%" is already subscribed to queue "%"',
                i_remote_node_name, i_queue_name
            using errcode = 'unique_violation',
                  hint = 'Remove the old subscription with pgq_node.unregister_subscriber() first.';
    end if;

    -- One consumer has one position: two nodes that share it take each other's batches, and rotation
    -- does not wait for the slower one.  What has the name now is not this node's, which is not
    -- subscribed.  The lock makes a second registration of a known name wait for the first; it is taken
    -- in the order of pgq.register_consumer_at(), after the queue's.
    perform 1 from pgq.queue where queue_name = i_queue_name for key share;
    perform 1 from pgq.consumer where co_name = i_remote_worker_name for update;
    select s.subscriber_node into l_owner
      from pgq_node.subscriber_info s
     where s.queue_name = i_queue_name and s.worker_name = i_remote_worker_name
     order by 1 limit 1;
    if found then
        ret_code := 403;
        ret_note := format('worker "%s" of node "%s" reads queue "%s" here already: '
                           'give job_name of node "%s" another value',
                           i_remote_worker_name, l_owner, i_queue_name, i_remote_node_name);
        return;
    end if;
    perform 1
      from pgq.queue q
      join pgq.consumer c on c.co_name = i_remote_worker_name
     cross join lateral pgq._subscription(q.queue_id, c.co_id)
     where q.queue_name = i_queue_name;
    if found then
        ret_code := 403;
        ret_note := format('consumer "%s" reads queue "%s" here already and is not the worker of node "%s": '
                           'give job_name of node "%s" another value, or end it with pgq.unregister_consumer(%L, %L)',
                           i_remote_worker_name, i_queue_name, i_remote_node_name, i_remote_node_name,
                           i_queue_name, i_remote_worker_name);
        return;
    end if;

    select i.global_watermark into l_watermark
      from pgq_node.get_node_info(i_queue_name) i;

    perform pgq.register_consumer_at(i_queue_name, l_watermark_name, l_watermark);
    perform pgq.register_consumer_at(i_queue_name, i_remote_worker_name,
                                     coalesce(i_custom_tick_id, l_watermark));

    insert into pgq_node.subscriber_info (queue_name, subscriber_node, worker_name, watermark_name)
    values (i_queue_name, i_remote_node_name, i_remote_worker_name, l_watermark_name);

    ret_code := 200;
    ret_note := 'Subscriber registered: ' || i_remote_node_name;
    global_watermark := l_watermark;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
