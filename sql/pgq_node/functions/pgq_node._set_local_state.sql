-- ----------------------------------------------------------------------
-- pgq_node._set_local_state(queue, consumer, columns, ...): changes the row of one
--   consumer, found newest version first as pgq_node._local_state() does.
--
--   columns names what is set, each to the argument of its name, which may be null;
--   all else stays.
--
-- Returns:  false when there is no such consumer
-- Writes:   pgq_node.local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node._set_local_state(
    i_queue_name text,
    i_consumer_name text,
    i_columns text[],
    i_provider_node text default null,
    i_last_tick_id bigint default null,
    i_cur_error text default null,
    i_paused boolean default null,
    i_uptodate boolean default null)
returns boolean
as $$
begin
    loop
        update pgq_node.local_state s
           set provider_node = case when 'provider_node' = any (i_columns) then i_provider_node else s.provider_node end,
               last_tick_id = case when 'last_tick_id' = any (i_columns) then i_last_tick_id else s.last_tick_id end,
               cur_error = case when 'cur_error' = any (i_columns) then i_cur_error else s.cur_error end,
               paused = case when 'paused' = any (i_columns) then i_paused else s.paused end,
               uptodate = case when 'uptodate' = any (i_columns) then i_uptodate else s.uptodate end
         where s.ctid = (
                    select v.ctid
                      from pgq_node.local_state v
                     where v.queue_name = i_queue_name
                       and v.consumer_name = i_consumer_name
                     order by v.last_tick_id desc
                     limit 1)
           and s.queue_name = i_queue_name
           and s.consumer_name = i_consumer_name;
        if found then
            return true;
        end if;
        -- either there is no such consumer, or another transaction has moved the row in between
        perform 1 from pgq_node._local_state(i_queue_name, i_consumer_name);
        if not found then
            return false;
        end if;
    end loop;
end;
$$ language plpgsql security definer
   set search_path = pg_catalog, pg_temp set enable_sort = off;
