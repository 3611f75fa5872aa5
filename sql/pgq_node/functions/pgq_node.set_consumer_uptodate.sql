-- ----------------------------------------------------------------------
-- pgq_node.set_consumer_uptodate(queue, consumer, uptodate)
--
--   A consumer confirms (true) that it has seen its current flags and provider.
--
-- Returns:  200 set, 404 consumer not known
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_consumer_uptodate(
    in i_queue_name text,
    in i_consumer_name text,
    in i_uptodate boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_row tid;
begin
    loop    -- again only when another transaction moved the row in between
        select s.row_id into l_row from pgq_node._local_state(i_queue_name, i_consumer_name) s;
        exit when not found;
        update pgq_node.local_state s
           set uptodate = i_uptodate
         where s.ctid = l_row
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
    end loop;
    if found then
        ret_code := 200;
        ret_note := 'Consumer uptodate = ' || i_uptodate::int4;
    else
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
