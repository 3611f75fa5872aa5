-- ----------------------------------------------------------------------
-- pgq_node._local_state(queue, consumer): the row of one consumer and its place,
--   newest version first: docs/design/newest-first.md.
--
--   An index leads to the newest version whatever the statistics say; any other
--   plan would walk all versions, and would need a sort.
--
-- Returns:  one row or none
-- ----------------------------------------------------------------------
create or replace function pgq_node._local_state(
    in i_queue_name text,
    in i_consumer_name text,
    out row_id tid,
    out queue_name text,
    out consumer_name text,
    out provider_node text,
    out last_tick_id bigint,
    out cur_error text,
    out paused boolean,
    out uptodate boolean)
returns setof record
as $$
begin
    return query
        select s.ctid, s.queue_name, s.consumer_name, s.provider_node, s.last_tick_id, s.cur_error, s.paused, s.uptodate
          from pgq_node.local_state s
         where s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name
         order by s.last_tick_id desc
         limit 1;
end;
$$ language plpgsql stable security definer rows 1
   set search_path = pg_catalog, pg_temp set enable_sort = off;
