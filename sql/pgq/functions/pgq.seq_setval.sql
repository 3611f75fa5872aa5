create or replace function pgq.seq_setval(i_seq_name text, i_new_value int8)
returns bigint as $$
-- Moves a sequence forward.  A smaller value is ignored.
--
-- Parameters:
--      i_seq_name  - schema.sequence, unquoted
--      i_new_value - value it shall have reached
--
-- Returns:
--      last value afterwards
declare
    _last bigint := pgq.seq_getval(i_seq_name);
begin
    if _last < i_new_value then
        perform pg_catalog.setval(pgq.quote_fqname(i_seq_name)::pg_catalog.regclass, i_new_value);
        return i_new_value;
    end if;
    return _last;
end;
$$ language plpgsql strict;
