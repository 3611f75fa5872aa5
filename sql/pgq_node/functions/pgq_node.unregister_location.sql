-- ----------------------------------------------------------------------
-- pgq_node.unregister_location(queue, node)
--
--   Forget a node.  If it is a subscriber of this node it is unsubscribed first.
--   The root tells the cascade, also when it did not know the node itself: some
--   other node may.
--
-- Returns:
--   200  Ok
--   301  location not found
--   403  location of this node itself, of its provider, or of the provider of
--        a consumer of this node
-- Writes:  pgq_node.node_location, subscriber_info; on the root an event
--          pgq.unregister-location
-- ----------------------------------------------------------------------
create or replace function pgq_node.unregister_location(
    in i_queue_name text,
    in i_node_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
    l_user text;
begin
    select n.node_type, n.node_name, n.worker_name, s.provider_node
      into l_node
      from pgq_node.node_info n
      left join lateral pgq_node._local_state(n.queue_name, n.worker_name) s on true
     where n.queue_name = i_queue_name;
    if found then
        if l_node.node_name = i_node_name then
            ret_code := 403;
            ret_note := 'Cannot drop node''s own location';
            return;
        end if;
        if l_node.provider_node = i_node_name then
            ret_code := 403;
            ret_note := 'Cannot drop location of node''s parent';
            return;
        end if;
        select s.consumer_name into l_user
          from pgq_node.get_consumer_info(i_queue_name) s
         where s.provider_node = i_node_name
         order by 1 limit 1;
        if found then
            ret_code := 403;
            ret_note := format('Cannot drop location of %s, it is the provider of consumer %s: '
                               'use unregister_consumer or change_consumer_provider first',
                               i_node_name, l_user);
            return;
        end if;

        -- a node that is not subscribed gives 304 here: nothing to do
        perform 1 from pgq_node.unregister_subscriber(i_queue_name, i_node_name);
    end if;

    delete from pgq_node.node_location
     where queue_name = i_queue_name
       and node_name = i_node_name;
    if found then
        ret_code := 200;
        ret_note := 'Ok';
    else
        ret_code := 301;
        ret_note := format('Location not found: %s/%s', i_queue_name, i_node_name);
    end if;

    if l_node.node_type = 'root' then
        perform pgq.insert_event(i_queue_name, 'pgq.unregister-location', i_node_name,
                                 i_queue_name, null, null, null);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
