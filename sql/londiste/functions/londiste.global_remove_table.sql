-- ----------------------------------------------------------------------
-- londiste.global_remove_table(queue, table): the table leaves the cascade; with it
--   its local registration and capture.
--
-- Returns:  200 removed, 400 not found
-- Writes:   londiste.table_info
-- ----------------------------------------------------------------------
create or replace function londiste.global_remove_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_statements text[];
    l_statement text;
begin
    -- No search_path of its own: the statements may need the caller's.  So nothing is looked up here, no operator either.
    select f.ret_code, f.ret_note, f.statements into ret_code, ret_note, l_statements
      from londiste._remove_table(i_queue_name, i_table_name, true) f;
    foreach l_statement in array l_statements loop
        execute l_statement;
    end loop;
end;
$$ language plpgsql strict;
