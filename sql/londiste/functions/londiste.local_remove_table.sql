-- ----------------------------------------------------------------------
-- londiste.local_remove_table(queue, table)
--
--   Stop replicating a table here: its capture goes, what an unfinished copy has
--   dropped comes back, and sequences of its serial columns are removed too.  On
--   the root the table leaves the whole cascade.
--
-- Returns:  200 removed; 400 not found, or not registered locally
-- Writes:   londiste.table_info, copy_range, seq_info; on the root events londiste.remove-table
--           and londiste.remove-seq
-- ----------------------------------------------------------------------
create or replace function londiste.local_remove_table(
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
      from londiste._remove_table(i_queue_name, i_table_name, false) f;
    foreach l_statement in array l_statements loop
        execute l_statement;
    end loop;
end;
$$ language plpgsql strict;
