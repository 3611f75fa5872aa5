-- ----------------------------------------------------------------------
-- londiste.execute_finish(queue, file)
--
--   Second half of execute_start().  The root sends the script down the cascade.
--
-- Returns:  200 finished, 404 unknown queue or file not started
-- ----------------------------------------------------------------------
create or replace function londiste.execute_finish(
    in i_queue_name text,
    in i_file_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_type text;
    l_run record;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || i_queue_name;
        return;
    end if;

    select e.execute_sql, e.execute_attrs into l_run
      from londiste.applied_execute e
     where e.execute_file = i_file_name;
    if not found then
        ret_code := 404;
        ret_note := 'execute_file called without execute_start';
        return;
    end if;

    if l_type = 'root' then
        perform pgq.insert_event(i_queue_name, 'EXECUTE', l_run.execute_sql,
                                 i_file_name, l_run.execute_attrs, null, null);
    end if;

    ret_code := 200;
    ret_note := 'Execute finished: ' || i_file_name;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
