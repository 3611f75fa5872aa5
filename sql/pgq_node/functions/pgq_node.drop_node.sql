-- ----------------------------------------------------------------------
-- pgq_node.drop_node(queue, node)
--
--   Remove a node.  For this database's own node: consumers, node, queue (root
--   and branch; a leaf owns none) and all locations go.  For another node:
--   unsubscribe it and forget its location.  Repeating it does no harm, so a
--   sweep over all nodes may call it everywhere.
--
-- Returns:
--   200  Node dropped: n
--   403  the node is the provider of a consumer of this node
--   405  the node is the provider of this node
-- Writes:  all tables of pgq_node; pgq.drop_queue(); londiste tables follow by
--          foreign key
-- ----------------------------------------------------------------------
create or replace function pgq_node.drop_node(
    in i_queue_name text,
    in i_node_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
begin
    select n.node_type, n.node_name, s.provider_node into l_node
      from pgq_node.node_info n
      left join lateral pgq_node._local_state(n.queue_name, n.worker_name) s on true
     where n.queue_name = i_queue_name
       for update of n;

    if not found then
        -- no node here: only what is remembered about the cascade can go
        delete from pgq_node.node_location l
         where l.queue_name = i_queue_name;
    elsif l_node.node_name = i_node_name then
        delete from pgq_node.subscriber_info where queue_name = i_queue_name;
        delete from pgq_node.local_state where queue_name = i_queue_name;
        delete from pgq_node.node_info where queue_name = i_queue_name;

        -- A leaf owns no queue: one of the same name is somebody else's.
        if l_node.node_type <> 'leaf' then
            perform pgq.drop_queue(i_queue_name, true);
        end if;

        delete from pgq_node.node_location where queue_name = i_queue_name;
    elsif l_node.provider_node = i_node_name then
        ret_code := 405;
        ret_note := 'Cannot drop provider node: ' || i_node_name;
        return;
    else
        perform 1 from pgq_node.unregister_subscriber(i_queue_name, i_node_name);
    end if;

    -- 301 is fine: a sweep meets nodes that are gone already
    select u.ret_code, u.ret_note into ret_code, ret_note
      from pgq_node.unregister_location(i_queue_name, i_node_name) u;
    if ret_code >= 400 then
        return;
    end if;

    ret_code := 200;
    ret_note := 'Node dropped: ' || i_node_name;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
