-- ----------------------------------------------------------------------
-- pgq_node.set_consumer_paused(queue, consumer, paused)
--
--   Ask a consumer to pause or to go on.  uptodate becomes false until it has
--   seen the change, so that the caller can wait for that.
--
-- Returns:  200 changed, 201 was so already, 404 unknown consumer
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.set_consumer_paused(
    in i_queue_name text,
    in i_consumer_name text,
    in i_paused boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_old record;
    l_word text = case when i_paused then 'paused' else 'resumed' end;
begin
    loop    -- again only when another transaction moved the row in between
        select s.row_id, s.paused into l_old from pgq_node._local_state(i_queue_name, i_consumer_name) s;
        if not found then
            ret_code := 404;
            ret_note := 'Unknown consumer: ' || coalesce(i_consumer_name, 'NULL');
            return;
        end if;
        if l_old.paused = i_paused then
            ret_code := 201;
            ret_note := format('Consumer %s already %s', i_consumer_name, l_word);
            return;
        end if;
        update pgq_node.local_state s
           set paused = i_paused,
               uptodate = false
         where s.ctid = l_old.row_id
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        exit when found;
    end loop;

    ret_code := 200;
    ret_note := format('Consumer %s tagged as %s', i_consumer_name, l_word);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
