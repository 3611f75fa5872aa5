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
declare
    l_row tid;
begin
    perform 1 from pgq_node.node_location
      where queue_name = i_queue_name
        and node_name = i_new_provider;
    if not found then
        ret_code := 404;
        ret_note := 'New node not found: ' || coalesce(i_new_provider, 'NULL');
        return;
    end if;

    loop    -- again only when another transaction moved the row in between
        select s.row_id into l_row from pgq_node._local_state(i_queue_name, i_consumer_name) s;
        exit when not found;
        update pgq_node.local_state s
           set provider_node = i_new_provider,
               uptodate = false
         where s.ctid = l_row
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
    end loop;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown consumer: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;

    ret_code := 200;
    ret_note := 'Consumer provider node set to : ' || i_new_provider;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
