create or replace function pgq._trigger_expression(
    in i_expr text, in i_cols text[], out o_sql text, out o_const text)
as $fn$
-- Turns an expression over the columns of a row into a query, or into a constant when it is just a string.
--
-- A bare word that equals a column name, in exactly that spelling, means the column; r.name and "name" work as in
-- a query over the row named r.
--
-- Returns:
--      o_sql   - query with the row as $1: text of the value, not null, type
--      o_const - the value of a plain string literal
--      neither for an empty expression, which means null
declare
    _rest text := i_expr;
    _sql text := '';
    _token text;
    _tag text;
    _end integer;
    _from text := '';
    _string constant text := $re$^'(?:[^']|'')*'$re$;
    _word constant text := '^(?:[A-Za-z_]|[^\x01-\x7f])(?:[A-Za-z0-9_$]|[^\x01-\x7f])*';
begin
    if i_expr ~ '^\s*$' then
        return;
    elsif i_expr ~ $re$^ *'(?:[^'\\]|'')*' *(?:$)$re$ then
        _token := pg_catalog.btrim(i_expr, ' ');
        o_const := pg_catalog.replace(pg_catalog.substr(_token, 2, pg_catalog.length(_token) - 2), '''''', '''');
        return;
    elsif i_expr ~ '^\$\$[^$]*\$\$$' then
        o_const := pg_catalog.substr(i_expr, 3, pg_catalog.length(i_expr) - 4);
        return;
    end if;

    while _rest <> '' loop
        _tag := pg_catalog.substring(_rest, '^\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$');
        if _rest ~ '^[eE]''' then
            _token := pg_catalog.substring(_rest, $re$^[eE]'(?:[^'\\]|\\.|'')*'$re$);
        elsif _rest ~ '^''' then
            _token := pg_catalog.substring(_rest, _string);
        elsif _tag is not null then
            _end := pg_catalog.strpos(pg_catalog.substr(_rest, pg_catalog.length(_tag) + 1), _tag);
            _token := pg_catalog.substr(_rest, 1, _end + 2 * pg_catalog.length(_tag) - 1);
        elsif _rest ~ '^"' then
            _token := pg_catalog.substring(_rest, '^"(?:[^"]|"")*"');
            _from := ' from (select ($1).*) r';
        elsif _rest ~ _word then
            _token := pg_catalog.substring(_rest, _word);
            if pg_catalog.substr(_rest, pg_catalog.length(_token) + 1, 1) = '.' then
                _from := ' from (select ($1).*) r';
            elsif _token = any (i_cols) and pg_catalog.right(_sql, 1) <> '.'
                  and pg_catalog.substr(_rest, pg_catalog.length(_token) + 1) !~ '^ *\(' then
                _sql := _sql || '($1).' || pg_catalog.quote_ident(_token);
                _rest := pg_catalog.substr(_rest, pg_catalog.length(_token) + 1);
                continue;
            end if;
        else
            _token := coalesce(pg_catalog.substring(_rest, '^[0-9][A-Za-z0-9_.]*'), pg_catalog.left(_rest, 1));
        end if;
        if coalesce(_token, '') = '' then
            _token := _rest;    -- unterminated: the parser will complain
        end if;
        _sql := _sql || _token;
        _rest := pg_catalog.substr(_rest, pg_catalog.length(_token) + 1);
    end loop;

    if _from <> '' and not (_sql ~* '\mr\.' or _sql ~ '"') then
        _from := '';    -- a qualified function, not the row
    end if;
    o_sql := 'select pg_catalog.format(''%s'', q.x), q.x is distinct from null, pg_catalog.pg_typeof(q.x)::pg_catalog.oid'
          || ' from (select ' || _sql || E'\n' || _from || ') q (x)';
end;
$fn$ language plpgsql immutable set standard_conforming_strings = on;
