-- ----------------------------------------------------------------------
-- londiste.global_add_table(queue, table): the cascade has this table; nothing is
--   replicated here before local_add_table().  A leaf that merges into a queue
--   adds it there too.
--
-- Returns:  200 added, or was there; 400 no such queue, or a name that events
--           cannot carry
-- Writes:   londiste.table_info
-- ----------------------------------------------------------------------
create or replace function londiste.global_add_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_combined text;
begin
    -- The lock serialises additions.
    select n.combined_queue into l_combined
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for no key update;
    if not found then
        ret_code := 400;
        ret_note := 'No such queue: ' || i_queue_name;
        return;
    end if;
    perform 1 from londiste.split_fqname(l_table) f
      where f.schema_part = '' or f.name_part = '';
    if found then
        ret_code := 400;
        ret_note := format('Table name is empty: "%s", expected schema.table', i_table_name);
        return;
    end if;

    insert into londiste.table_info (queue_name, table_name)
    values (i_queue_name, l_table)
    on conflict (queue_name, table_name) do nothing;
    ret_code := 200;
    ret_note := case when found then 'Table added: ' else 'Table already added: ' end || i_table_name;

    if found and l_combined is not null then
        perform 1 from pgq_node.node_info n where n.queue_name = l_combined;
        if found then
            perform 1 from londiste.global_add_table(l_combined, i_table_name);
        end if;
    end if;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
