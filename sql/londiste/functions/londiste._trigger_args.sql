-- ----------------------------------------------------------------------
-- londiste._trigger_args(args): arguments of a trigger in the form in which
--   pg_trigger.tgargs keeps them: raw bytes, a zero byte behind each.
-- ----------------------------------------------------------------------
create or replace function londiste._trigger_args(i_args text[])
returns bytea
as $$
declare
    l_raw bytea = '';
    l_arg text;
begin
    foreach l_arg in array i_args loop
        l_raw := l_raw || convert_to(l_arg, getdatabaseencoding()) || '\x00'::bytea;
    end loop;
    return l_raw;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
