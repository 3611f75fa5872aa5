-- ----------------------------------------------------------------------
-- londiste.local_add_seq(queue, sequence)
--
--   Replicate a sequence here.  The root publishes its value at once; on another
--   node the sequence is moved up to the published value.
--
-- Returns:
--   200  added
--   201  was added already
--   400  no such sequence in this database
--   404  unknown queue, or the root has not published the sequence
-- Writes:  londiste.seq_info
-- ----------------------------------------------------------------------
create or replace function londiste.local_add_seq(
    in i_queue_name text,
    in i_seq_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_name text = londiste.make_fqname(i_seq_name);
    l_type text;
    l_seq record;
begin
    if londiste.find_seq_oid(l_name) is null then
        ret_code := 400;
        ret_note := 'Sequence not found: ' || coalesce(l_name, 'NULL');
        return;
    end if;
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    select s.local, s.last_value into l_seq
      from londiste.seq_info s
     where s.queue_name = i_queue_name
       and s.seq_name = l_name
       for update;
    if l_seq.local then
        ret_code := 201;
        ret_note := 'Sequence already added: ' || l_name;
        return;
    end if;
    if l_seq.local is null and l_type <> 'root' then
        ret_code := 404;
        ret_note := 'Unknown sequence: ' || l_name;
        return;
    end if;

    if l_type = 'root' then
        insert into londiste.seq_info (queue_name, seq_name, local, last_value)
        values (i_queue_name, l_name, true, 0)
        on conflict (queue_name, seq_name) do update
            set local = true;
        perform 1 from londiste.root_check_seqs(i_queue_name);
    else
        update londiste.seq_info
           set local = true
         where queue_name = i_queue_name
           and seq_name = l_name;
        perform pgq.seq_setval(l_name, l_seq.last_value);
    end if;

    ret_code := 200;
    ret_note := 'Sequence added: ' || l_name;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
