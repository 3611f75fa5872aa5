-- ----------------------------------------------------------------------
-- pgq_node.create_node(queue, type, node, worker, provider, global_watermark, combined_queue)
--
--   Make this database a node of the cascade `queue`.
--     root    owns the queue: events and ticks are born here
--     branch  has a full copy of the queue under the same event and tick ids
--     leaf    has no queue; with combined_queue its events are merged into that
--             queue, which must have a root or branch in this database
--   The node's location must be registered before.
--
-- Arguments:
--   i_provider_name, i_global_watermark   branch and leaf only: node the worker
--           reads from, and the tick it begins after
-- Returns:
--   200  Node "n" initialized for queue "q" with type "t"
--   401  node exists already, or arguments do not fit the type
-- Raises:  foreign_key_violation when a location is missing
-- Writes:  pgq_node.node_info, local_state; pgq.queue (through UPDATE, so that
--          triggers there see the flags)
-- ----------------------------------------------------------------------
create or replace function pgq_node.create_node(
    in i_queue_name text,
    in i_node_type text,
    in i_node_name text,
    in i_worker_name text,
    in i_provider_name text,
    in i_global_watermark bigint,
    in i_combined_queue text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    c_watermark constant text = '.global_watermark';
    l_provider text;
    l_tick bigint;
    l_missing text;
begin
    ret_code := 401;

    perform 1 from pgq_node.node_info where queue_name = i_queue_name;
    if found then
        ret_note := 'Node already initialized';
        return;
    end if;

    case
    when i_node_type = 'root' then
        if coalesce(i_provider_name, i_global_watermark::text, i_combined_queue) is not null then
            ret_note := 'unexpected args for root';
            return;
        end if;
    when i_node_type = 'branch' then
        if i_provider_name is null then
            ret_note := 'provider not set for branch';
            return;
        end if;
        if i_global_watermark is null then
            ret_note := 'global watermark not set for branch';
            return;
        end if;
        if i_combined_queue is not null then
            ret_note := 'combined queue makes sense on a leaf only';
            return;
        end if;
    when i_node_type = 'leaf' then
        if i_provider_name is null then
            ret_note := 'provider not set for leaf';
            return;
        end if;
        if i_global_watermark is null then
            ret_note := 'global watermark not set for leaf';
            return;
        end if;
        if i_combined_queue is not null then
            perform 1 from pgq_node.node_info
              where queue_name = i_combined_queue
                and node_type in ('root', 'branch');
            if not found then
                ret_note := 'non-existing queue on leaf side: ' || i_combined_queue;
                return;
            end if;
        end if;
    else
        ret_note := format('unknown node type: %s, expected root, branch or leaf', i_node_type);
        return;
    end case;
    if i_worker_name is null then
        ret_note := 'worker name not set for ' || i_node_type;
        return;
    end if;

    l_provider := coalesce(i_provider_name, i_node_name);
    select n into l_missing
      from unnest(array[i_node_name, l_provider]) n
     where not exists (select 1 from pgq_node.node_location l
                        where l.queue_name = i_queue_name and l.node_name = n)
     limit 1;
    if found then
        raise exception 'location of node "%" is not known for queue "%"', l_missing, i_queue_name
            using errcode = 'foreign_key_violation',
                  hint = format('Run: select * from pgq_node.register_location(%L, %L, ''<connect string>'', false)',
                                i_queue_name, l_missing);
    end if;

    if i_node_type = 'root' then
        perform pgq.create_queue(i_queue_name);
        perform pgq.register_consumer(i_queue_name, c_watermark);
        select s.sub_last_tick into l_tick
          from pgq.subscription s
          join pgq.queue q on q.queue_id = s.sub_queue
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = c_watermark;
    elsif i_node_type = 'branch' then
        perform pgq.create_queue(i_queue_name);
        update pgq.queue
           set queue_external_ticker = true,
               queue_disable_insert = true
         where queue_name = i_queue_name;
        -- create_queue() made tick 1 itself
        if i_global_watermark > 1 then
            insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
            select q.queue_id, i_global_watermark, 1
              from pgq.queue q
             where q.queue_name = i_queue_name;
        end if;
        perform pgq.register_consumer_at(i_queue_name, c_watermark, i_global_watermark);
        l_tick := i_global_watermark;
    else
        l_tick := i_global_watermark;
    end if;

    insert into pgq_node.node_info (queue_name, node_type, node_name, worker_name, combined_queue)
    values (i_queue_name, i_node_type, i_node_name, i_worker_name, i_combined_queue);

    perform 1 from pgq_node.register_consumer(i_queue_name, i_worker_name, l_provider, l_tick);

    ret_code := 200;
    ret_note := format('Node "%s" initialized for queue "%s" with type "%s"',
                       i_node_name, i_queue_name, i_node_type);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
