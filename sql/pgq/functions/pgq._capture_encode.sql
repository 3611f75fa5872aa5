create or replace function pgq._capture_quote(i_text text)
returns text as $$
-- Writes a string constant in which the separators chr(1), chr(2) and chr(3) are visible.
    select 'E''' || replace(replace(replace(replace(replace(i_text, '\', '\\'), '''', ''''''), chr(1), '\x01'), chr(2), '\x02'), chr(3), '\x03') || '''';
$$ language sql immutable strict set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_encode(i_table oid, i_ignored text[], i_row text, i_careful boolean)
returns text as $$
-- Writes the SQL that url-encodes a whole row.
--
-- The quick form has one format() write all values with separators that do not occur in them, then replaces what has to
-- be escaped in the whole row at once; null if a separator does occur or the row is large.  What it leaves unescaped, the
-- caller has to notice.  The careful form goes value by value and is always right.
--
-- Separators: chr(1) ends a column; chr(1) chr(2) stands for = ; chr(1) chr(3) for = before a value that is never an
-- empty text, hence a null when the column ends there.
--
-- Parameters:
--      i_row       - NEW or OLD
declare
    _c record;
    _value text;
    _format text := '';
    _args text := '';
    _count int4 := 0;
    _call text := '';
    _checked text[] := '{}';
    _sizes text := '';
    _small text := '';
    _text text;
    _careful text := '';
    _sep text := '';
    _chars text := '';
    _nullable boolean := false;
    _char text;
begin
    for _c in select * from pgq._capture_columns(i_table, i_ignored) k where not k.ignored order by k.nr loop
        _value := i_row || '.' || _c.ident;

        _careful := _careful || ' operator(pg_catalog.||) ' || pgq._capture_quote(_sep || pgq._urlencode(_c.name))
            || ' operator(pg_catalog.||) case when ' || _value || ' is distinct from null then ''='' operator(pg_catalog.||) pgq._capture_urlencode('
            || 'pg_catalog.format(''%s'', '
            || case _c.kind when 'n' then 'pgq._capture_plain(' || _value || ')'
                            when 'd' then 'pgq._capture_time(' || _value || ')'
                            when 'f' then 'pgq._capture_float(' || _value || ')'
                            when 'b' then 'pgq._capture_bytes(' || _value || ')'
                            when 't' then 'pgq._capture_text(' || _value || ')'
                            else _value end
            || ')) else '''' end';
        _sep := '&';

        _format := _format || replace(_c.name, '%', '%%');
        if _c.kind in ('n', 'd', 'f', 'b') then
            _format := _format || chr(1) || case when _c.present then chr(2) else chr(3) end || '%s' || chr(1);
            _nullable := _nullable or not _c.present;
            _args := _args || ', ' || case _c.kind when 'n' then 'pgq._capture_plain(' when 'd' then 'pgq._capture_time('
                                                   when 'f' then 'pgq._capture_float(' else 'pgq._capture_bytes(' end
                           || _value || ')';
            _chars := _chars || case _c.kind when 'd' then '+ :' when 'f' then '+' when 'b' then '\' else '' end;
            if _c.kind = 'b' then
                _sizes := _sizes || format(', pg_catalog.octet_length(%s)', _value);
            end if;
            if exists (select 1 from pg_attribute a where a.attrelid = i_table and a.attname = _c.name
                          and a.atttypid = 'jsonb'::regtype) then
                _chars := _chars || '%+ &=:",{}[]';
            end if;
        elsif _c.kind = 't' and _c.present then
            _format := _format || chr(1) || chr(2) || '%s' || chr(1);
            _args := _args || ', pgq._capture_text(' || _value || ')';
            _checked := _checked || _value;
            _sizes := _sizes || format(', pg_catalog.octet_length(%s)', _value);
            _chars := _chars || '%+ &=:,/';
        elsif _c.kind = 't' then
            -- a null makes the whole of it null, which format() writes as nothing
            _format := _format || '%s' || chr(1);
            _args := _args || ', E''\x01\x02'' operator(pg_catalog.||) pgq._capture_text(' || _value || ')';
            _checked := _checked || _value;
            _sizes := _sizes || format(', pg_catalog.octet_length(%s)', _value);
            _chars := _chars || '%+ &=:,/';
        else
            _format := _format || '%s' || chr(1);
            _args := _args || ', case when ' || _value || ' is distinct from null then E''\x01\x02'' operator(pg_catalog.||) pg_catalog.format(''%s'', ' || _value || ') end';
            _checked := _checked || _value;
            _chars := _chars || case _c.kind when 'c' then '%+ &=/:",{}' else '%+ &=:,{}"()' end;
        end if;
        _count := _count + 1;
        if _count = 90 then
            _call := _call || ' operator(pg_catalog.||) pg_catalog.format(' || pgq._capture_quote(_format) || _args || ')';
            _format := '';
            _args := '';
            _count := 0;
        end if;
    end loop;
    if _careful = '' then
        return '''''::pg_catalog.text';
    elsif i_careful then
        return substr(_careful, length(' operator(pg_catalog.||) ') + 1);
    end if;

    if exists (select 1 from pgq._capture_columns(i_table, i_ignored) k where not k.ignored and k.name ~ '[^A-Za-z0-9_.-]' collate "C") then
        return 'null::pg_catalog.text';
    end if;
    if _count > 0 then
        _call := _call || ' operator(pg_catalog.||) pg_catalog.format(' || pgq._capture_quote(_format) || _args || ')';
    end if;
    _call := substr(_call, length(' operator(pg_catalog.||) ') + 1);

    foreach _char in array '{%,+," ",&,=,:,",",/,"\"","{","}",[,],\\,(,)}'::text[] loop
        if strpos(_chars, _char) > 0 then
            _call := format('pg_catalog.replace(%s, %s, %L)', _call, pgq._capture_quote(_char), pgq._urlencode(_char));
        end if;
    end loop;
    _call := format('pg_catalog.replace(%s, E''\x01\x02'', ''='')', _call);
    if _nullable then
        _call := format('pg_catalog.replace(pg_catalog.replace(%s, E''\x01\x03\x01'', E''\x01''), E''\x01\x03'', ''='')', _call);
    end if;
    _call := format('pg_catalog.rtrim(pg_catalog.replace(%s, E''\x01'', ''&''), ''&'')', _call);
    if _sizes <> '' then
        _small := format(' and greatest(0%s) operator(pg_catalog.<) 1000000', _sizes);
    end if;
    if _checked <> '{}' then
        -- concat() takes 100 values as well
        select string_agg('pg_catalog.concat(' || p.piece || ')', ' operator(pg_catalog.||) ' order by p.nr) into _text
          from (select min(u.nr) as nr, string_agg(u.v, ', ' order by u.nr) as piece
                  from unnest(_checked) with ordinality u (v, nr)
                 group by (u.nr - 1) / 90) p;
        _small := _small || format(' and pg_catalog.strpos(%s, E''\x01'') operator(pg_catalog.=) 0', _text);
    end if;
    return case when _small = '' then _call else format('case when %s then %s end', substr(_small, 6), _call) end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_urlencode(text)
returns text as $$
-- pgq._urlencode for code that runs as the owner of PgQ under the search_path of anybody.
begin
    return pgq._urlencode($1);
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pgq, pg_temp;
