-- ----------------------------------------------------------------------
-- pgq_node.change_consumer_provider(queue, consumer, new_provider)
--
--   Point a consumer of this node to another node.  uptodate becomes false until
--   the consumer has seen it.
--
-- Returns:  200 changed, 404 unknown node or consumer
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.change_consumer_provider(
    in i_queue_name text,
    in i_consumer_name text,
    in i_new_provider text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    perform 1 from pgq_node.node_location
      where queue_name = i_queue_name
        and node_name = i_new_provider;
    if not found then
        ret_code := 404;
        ret_note := 'New node not found: ' || coalesce(i_new_provider, 'NULL');
        return;
    end if;

    if not pgq_node._set_local_state(i_queue_name, i_consumer_name, '{provider_node,uptodate}',
                                     i_provider_node => i_new_provider, i_uptodate => false) then
        ret_code := 404;
        ret_note := format('Unknown consumer: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;

    ret_code := 200;
    ret_note := 'Consumer provider node set to : ' || i_new_provider;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
