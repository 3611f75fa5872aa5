-- pgq_node.is_leaf_node(q): true when this database is a leaf of the cascade.
-- Raises an exception when the queue has no node here.
create or replace function pgq_node.is_leaf_node(i_queue_name text)
returns boolean
as $$
declare
    l_type text;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        raise exception 'queue does not exist: %', i_queue_name;
    end if;
    return l_type = 'leaf';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
