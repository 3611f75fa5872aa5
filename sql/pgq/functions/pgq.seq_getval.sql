create or replace function pgq.seq_getval(i_seq_name text)
returns bigint as $$
-- Reads the last value of a sequence without moving it.
--
-- Parameters:
--      i_seq_name  - schema.sequence, unquoted
--
-- Returns:
--      last_value; 1 for a sequence that was never used
declare
    _last bigint;
begin
    execute 'select last_value from ' || pgq.quote_fqname(i_seq_name) into _last;
    return _last;
end;
$$ language plpgsql strict;
