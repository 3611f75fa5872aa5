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
    l_paused boolean;
    l_word text = case when i_paused then 'paused' else 'resumed' end;
begin
    select s.paused into l_paused from pgq_node._local_state(i_queue_name, i_consumer_name) s;
    if l_paused = i_paused then
        ret_code := 201;
        ret_note := format('Consumer %s already %s', i_consumer_name, l_word);
        return;
    end if;
    if not pgq_node._set_local_state(i_queue_name, i_consumer_name, '{paused,uptodate}',
                                     i_paused => i_paused, i_uptodate => false) then
        ret_code := 404;
        ret_note := 'Unknown consumer: ' || coalesce(i_consumer_name, 'NULL');
        return;
    end if;

    ret_code := 200;
    ret_note := format('Consumer %s tagged as %s', i_consumer_name, l_word);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
