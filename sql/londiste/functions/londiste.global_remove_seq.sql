-- ----------------------------------------------------------------------
-- londiste.global_remove_seq(queue, sequence): the sequence leaves the cascade.
--
-- Returns:  200 removed, 400 not found
-- Writes:   londiste.seq_info; on the root an event londiste.remove-seq
-- ----------------------------------------------------------------------
create or replace function londiste.global_remove_seq(
    in i_queue_name text,
    in i_seq_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_name text = londiste.make_fqname(i_seq_name);
begin
    delete from londiste.seq_info
     where queue_name = i_queue_name
       and seq_name = l_name;
    if not found then
        ret_code := 400;
        ret_note := 'Sequence not found: ' || l_name;
        return;
    end if;

    if pgq_node.is_root_node(i_queue_name) then
        perform londiste.root_notify_change(i_queue_name, 'londiste.remove-seq', l_name);
    end if;

    ret_code := 200;
    ret_note := 'Sequence removed: ' || l_name;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
