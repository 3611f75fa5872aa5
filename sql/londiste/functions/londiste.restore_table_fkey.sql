-- ----------------------------------------------------------------------
-- londiste.restore_table_fkey(from_table, fkey [, lazy])
--
--   Put a dropped foreign key back.  Not lazy: at once.  Lazy: returns the next
--   statement for the caller to run and commit, until the result is empty: first
--   the key without a check of existing rows, then that check, which blocks
--   nobody.
--
-- Returns:  next statement, or '' when done or when nothing was saved
-- Writes:   londiste.pending_fkeys
-- ----------------------------------------------------------------------
create or replace function londiste.restore_table_fkey(
    i_from_table text, i_fkey_name text, i_lazy boolean default false)
returns text
as $$
declare
    l_statement text;
    l_next text;
begin
    -- No search_path of its own: the statement may need the caller's.  So nothing is looked up here, no operator either.
    select f.statement, f.next_statement into l_statement, l_next
      from londiste._restore_table_fkey(i_from_table, i_fkey_name, i_lazy) f;
    if l_statement is not null then
        execute l_statement;
    end if;
    return l_next;
end;
$$ language plpgsql strict;
