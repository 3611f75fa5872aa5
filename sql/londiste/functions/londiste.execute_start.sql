-- ----------------------------------------------------------------------
-- londiste.execute_start(queue, file, sql, expect_root [, attrs])
--
--   First half of running a script once per database: call this, run the
--   script, call execute_finish(), all in one transaction.  A parallel run of
--   the same file waits here for the first to end.
--
-- Returns:
--   200  Executing: run it
--   201  already applied: skip it
--   401  expect_root, but the node is not root
--   404  unknown queue
-- Writes:  londiste.applied_execute (keyed by file name alone)
-- ----------------------------------------------------------------------
create or replace function londiste.execute_start(
    in i_queue_name text,
    in i_file_name text,
    in i_sql text,
    in i_expect_root boolean,
    in i_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_type text;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := 'Unknown queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if i_expect_root and l_type <> 'root' then
        ret_code := 401;
        ret_note := 'Node is not root node: ' || i_queue_name;
        return;
    end if;

    insert into londiste.applied_execute (queue_name, execute_file, execute_sql, execute_attrs)
    values (i_queue_name, i_file_name, i_sql, i_attrs)
    on conflict do nothing;
    if found then
        ret_code := 200;
        ret_note := 'Executing: ' || i_file_name;
    else
        ret_code := 201;
        ret_note := format('EXECUTE: "%s" already applied, skipping', i_file_name);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function londiste.execute_start(
    in i_queue_name text,
    in i_file_name text,
    in i_sql text,
    in i_expect_root boolean,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.execute_start(i_queue_name, i_file_name, i_sql, i_expect_root, null) f;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
