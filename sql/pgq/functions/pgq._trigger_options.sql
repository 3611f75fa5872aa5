create or replace function pgq._trigger_options(
    in i_args text[],
    out queue text, out skip boolean, out deny boolean, out backup boolean,
    out ignored text, out pkey text, out fields text[], out exprs text[])
as $$
-- Reads the arguments of a generic trigger: the queue, then options in any order.  At least the queue is there.
--
-- Returns:
--      ignored, pkey   - the lists as given, null when not given.  The last of several counts
--      fields, exprs   - fields to be replaced by an expression.  The first of several counts
-- Errors:
--      bad param to pgq trigger
declare
    _arg text;
    _field text;
    _first boolean := true;
begin
    skip := false;
    deny := false;
    backup := false;
    fields := '{}';
    exprs := '{}';
    foreach _arg in array i_args loop
        if _first then
            queue := _arg;
            _first := false;
        elsif _arg = 'SKIP' then
            skip := true;
        elsif _arg = 'deny' then
            deny := true;
        elsif _arg = 'backup' then
            backup := true;
        elsif pg_catalog.starts_with(_arg, 'ignore=') then
            ignored := pg_catalog.substr(_arg, 8);
        elsif pg_catalog.starts_with(_arg, 'pkey=') then
            pkey := pg_catalog.substr(_arg, 6);
        else
            _field := pg_catalog.substring(_arg, '^(when|ev_type|ev_data|ev_extra[1-4])=');
            if _field is null then
                raise exception 'bad param to pgq trigger'
                    using errcode = 'invalid_parameter_value', detail = 'Argument: ' || _arg;
            end if;
            if _field <> all (fields) then
                fields := fields || _field;
                exprs := exprs || pg_catalog.substr(_arg, pg_catalog.length(_field) + 2);
            end if;
        end if;
    end loop;
end;
$$ language plpgsql immutable;
