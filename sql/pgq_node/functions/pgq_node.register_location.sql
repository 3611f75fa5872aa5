-- ----------------------------------------------------------------------
-- pgq_node.register_location(queue, node, location, dead)
--
--   Add a node to the list of known nodes or change it.  A NULL location keeps
--   the stored one (and adds nothing when the node is unknown).  The root sends
--   the change down the cascade.  Needs no local node: create_node() wants the
--   location to be there first.
--
-- Returns:  200 Location registered
-- Writes:   pgq_node.node_location; on the root an event pgq.location-info
-- ----------------------------------------------------------------------
create or replace function pgq_node.register_location(
    in i_queue_name text,
    in i_node_name text,
    in i_node_location text,
    in i_dead boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    if i_node_location is null then
        update pgq_node.node_location
           set dead = i_dead
         where queue_name = i_queue_name
           and node_name = i_node_name;
    else
        insert into pgq_node.node_location (queue_name, node_name, node_location, dead)
        values (i_queue_name, i_node_name, i_node_location, i_dead)
        on conflict (queue_name, node_name) do update
            set node_location = excluded.node_location,
                dead = excluded.dead;
    end if;

    perform 1 from pgq_node.node_info
      where queue_name = i_queue_name and node_type = 'root';
    if found then
        perform pgq.insert_event(i_queue_name, 'pgq.location-info', i_node_name,
                                 i_queue_name, i_node_location, i_dead::text, null);
    end if;

    ret_code := 200;
    ret_note := 'Location registered';
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
