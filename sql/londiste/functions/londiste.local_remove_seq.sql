-- ----------------------------------------------------------------------
-- londiste.local_remove_seq(queue, sequence): stop replicating a sequence here; on
--   the root it leaves the whole cascade.
--
-- Returns:  200 removed; 404 not local or unknown queue; on the root the result
--           of global_remove_seq()
-- Writes:   londiste.seq_info
-- ----------------------------------------------------------------------
create or replace function londiste.local_remove_seq(
    in i_queue_name text,
    in i_seq_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_name text = londiste.make_fqname(i_seq_name);
    l_type text;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || i_queue_name;
        return;
    end if;
    if l_type = 'root' then
        select f.ret_code, f.ret_note into ret_code, ret_note
          from londiste.global_remove_seq(i_queue_name, l_name) f;
        return;
    end if;

    update londiste.seq_info
       set local = false
     where queue_name = i_queue_name
       and seq_name = l_name
       and local;
    if found then
        ret_code := 200;
        ret_note := 'Sequence removed: ' || l_name;
    else
        ret_code := 404;
        ret_note := 'Sequence not found: ' || l_name;
    end if;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
