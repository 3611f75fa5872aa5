-- ----------------------------------------------------------------------
-- londiste.global_update_seq(queue, sequence, value)
--
--   The cascade says how far a sequence may have come.  A local sequence is
--   moved forward, never back.
--
-- Returns:  200 updated, 402 on the root, 404 unknown set
-- Writes:   londiste.seq_info
-- ----------------------------------------------------------------------
create or replace function londiste.global_update_seq(
    in i_queue_name text,
    in i_seq_name text,
    in i_value int8,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_type text;
    l_name text = londiste.make_fqname(i_seq_name);
    l_local boolean;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Set not found: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if l_type = 'root' then
        ret_code := 402;
        ret_note := 'Must not run on root node';
        return;
    end if;

    insert into londiste.seq_info as s (queue_name, seq_name, last_value)
    values (i_queue_name, l_name, i_value)
    on conflict (queue_name, seq_name) do update
        set last_value = excluded.last_value
    returning s.local into l_local;
    if l_local then
        perform pgq.seq_setval(l_name, i_value);
    end if;

    ret_code := 200;
    ret_note := 'Sequence updated';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
