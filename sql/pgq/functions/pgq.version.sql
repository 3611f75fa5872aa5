create or replace function pgq.version()
returns text as $$
-- Returns the version of the installed functions.  A constant: it does not depend on how they came here.
begin
    return '4.0.0';
end;
$$ language plpgsql;
