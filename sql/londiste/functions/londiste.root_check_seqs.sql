-- ----------------------------------------------------------------------
-- londiste.root_check_seqs(queue [, buffer])
--
--   Publish values of the root's sequences, ahead of where they are, so that a
--   promoted node never hands out a value twice.  Whenever a sequence comes
--   within buffer (default 10000, at least 10) of the published value, three
--   buffers more are published.
--
-- Returns:
--   100  sequences updated
--   301  the queue takes no events now (takeover under way): nothing published;
--        or a sequence was dropped without remove-seq: the others were published
--   402  not a root node
--   404  queue not found
-- Writes:  londiste.seq_info, events londiste.update-seq
-- ----------------------------------------------------------------------
create or replace function londiste.root_check_seqs(
    in i_queue_name text,
    in i_buffer int8,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_node record;
    l_buffer int8 = case when i_buffer >= 10 then i_buffer else 10000 end;
    l_seq record;
    l_value int8;
    l_missing text;
begin
    select n.node_type, q.queue_disable_insert into l_node
      from pgq_node.node_info n
      left join pgq.queue q on q.queue_name = n.queue_name
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Queue not found: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if l_node.node_type <> 'root' then
        ret_code := 402;
        ret_note := 'Not a root node';
        return;
    end if;
    if l_node.queue_disable_insert then
        ret_code := 301;
        ret_note := format('Queue %s takes no events, sequences not published', i_queue_name);
        return;
    end if;

    for l_seq in
        select s.seq_name, s.last_value
          from londiste.seq_info s
         where s.queue_name = i_queue_name
           and s.local
         order by s.nr
           for update
    loop
        if londiste.find_seq_oid(l_seq.seq_name) is null then
            l_missing := concat_ws(', ', l_missing, l_seq.seq_name);
            continue;
        end if;
        l_value := pgq.seq_getval(l_seq.seq_name);
        if l_value + l_buffer >= l_seq.last_value then
            l_value := l_value + l_buffer * 3;
            perform pgq.insert_event(i_queue_name, 'londiste.update-seq', l_value::text,
                                     l_seq.seq_name, null, null, null);
            update londiste.seq_info
               set last_value = l_value
             where queue_name = i_queue_name
               and seq_name = l_seq.seq_name;
        end if;
    end loop;

    if l_missing is not null then
        ret_code := 301;
        ret_note := format('Sequences do not exist, remove them from queue %s with remove-seq: %s',
                           i_queue_name, l_missing);
        return;
    end if;
    ret_code := 100;
    ret_note := 'Sequences updated';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function londiste.root_check_seqs(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.root_check_seqs(i_queue_name, 10000) f;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
