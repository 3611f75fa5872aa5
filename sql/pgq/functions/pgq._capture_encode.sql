create or replace function pgq._capture_quote(i_text text)
returns text as $$
-- Writes a string constant in which the separators chr(1), chr(2) and chr(3) are visible.
    select 'E''' || replace(replace(replace(replace(replace(i_text, '\', '\\'), '''', ''''''), chr(1), '\x01'), chr(2), '\x02'), chr(3), '\x03') || '''';
$$ language sql immutable strict set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_encode(i_table oid, i_ignored text[], i_row text, i_way text, i_chars text default '')
returns text as $$
-- Writes the SQL that url-encodes a whole row.
--
-- Parameters:
--      i_row       - NEW or OLD, or the alias of a transition table
--      i_way       - quick: one format() for the row and a few replace(); null where the row has characters that these do
--                           not encode.  Its number of function calls is what one row per transaction costs.
--                    chain: one format() with separators that do not occur in values, then what is usual in texts is
--                           replaced in the whole row at once; null if a separator does occur or the row is large.  What
--                           is left, pgq._capture_rest() has to encode.
--                    careful: value by value; always right.
--      i_chars     - characters that the quick way is to encode besides those that are always likely: pgq._capture_sample()
--
-- What is searched and replaced is so under collation "C": those of the columns may disagree, or find characters that are only equal to them.
--
-- Separators of the chain: chr(1) ends a column; chr(1) chr(2) stands for = ; chr(1) chr(3) for = before a value that is
-- never an empty text, hence a null when the column ends there.
--
-- Returns:
--      SQL; null if the table cannot be written in this way
declare
    _quick constant boolean := i_way = 'quick';
    -- what separates columns, if values may hold & and = , stands for them until those are encoded
    _held constant boolean := _quick and i_chars ~ '[&=]';
    _equals constant text := case when _held then chr(2) else '=' end;
    _ampersand constant text := case when _held then chr(1) else '&' end;
    _c record;
    _value text;
    _written text;
    _json boolean;
    _format text := '';
    _args text := '';
    _count int4 := 0;
    _call text := '';
    _checked text[] := '{}';
    _sizes text := '';
    _packed text := '';
    _text text;
    _careful text := '';
    _sep text := '';
    _chars text := '';
    _nullable boolean := false;
    _never_null constant text[] := pgq._capture_never_null(i_table);
    _present text[] := '{}';
    _whole text;
    _char text;
    -- in the order in which they have to be encoded
    _usual constant text[] := '{%,+," ",&,=,:,",",/,"\"","{","}",[,],\\,(,),@,!,?,;,''}'::text[] || E'\n'::text;
begin
    for _c in select * from pgq._capture_columns(i_table, i_ignored) k where not k.ignored order by k.nr loop
        _value := i_row || '.' || _c.ident;
        _written := case _c.kind when 'n' then 'pgq._capture_plain(' || _value || ')'
                                 when 'd' then 'pgq._capture_time(' || _value || ')'
                                 when 'f' then 'pgq._capture_float(' || _value || ')'
                                 when 'b' then 'pgq._capture_bytes(' || _value || ')'
                                 when 't' then 'pgq._capture_text(' || _value || ')'
                                 else _value end;
        _json := exists (select 1 from pg_attribute a where a.attrelid = i_table and a.attname = _c.name
                            and a.atttypid in ('jsonb'::regtype, 'json'::regtype, 'tsvector'::regtype));
        _careful := _careful || ' operator(pg_catalog.||) ' || pgq._capture_quote(_sep || pgq._urlencode(_c.name))
            || ' operator(pg_catalog.||) case when ' || _value || ' is distinct from null then ''='' operator(pg_catalog.||) pgq._capture_urlencode('
            || 'pg_catalog.format(''%s'', ' || _written || ') collate pg_catalog."C") else '''' end';
        if _quick and _c.kind = 'x' then
            return null;
        end if;

        if _quick then
            _format := _format || case when _sep <> '' then _ampersand else '' end || replace(_c.name, '%', '%%') || case when _c.present then _equals || '%s' else '%s' end;
            _args := _args || ', ' || case
                when _c.present then _written
                -- a null makes the whole of it null, which format() writes as nothing
                when _c.kind = 't' then pgq._capture_quote(_equals) || ' operator(pg_catalog.||) ' || _written
                else 'case when ' || _value || ' is distinct from null then pg_catalog.concat(' || pgq._capture_quote(_equals) || ', ' || _written || ') end' end;
            _chars := _chars || case when _json then ' :,"{}[]' when _c.kind = 'd' then '+ :' when _c.kind = 'f' then '+'
                when _c.kind = 'b' then '\' when _c.kind = 't' then ' ,@/' when _c.kind = 'c' then ' :/' else '' end;
        elsif _c.kind in ('n', 'd', 'f', 'b') then
            _format := _format || replace(_c.name, '%', '%%') || chr(1) || case when _c.present then chr(2) else chr(3) end || '%s' || chr(1);
            _args := _args || ', ' || _written;
            _nullable := _nullable or not _c.present;
            _chars := _chars || case when _json then '%+ &=:",{}[]@/()' when _c.kind = 'd' then '+ :' when _c.kind = 'f' then '+' when _c.kind = 'b' then '\' else '' end;
        else
            _format := _format || replace(_c.name, '%', '%%') || case when _c.present then chr(1) || chr(2) else '' end || '%s' || chr(1);
            _args := _args || ', ' || case
                when _c.present then _written
                when _c.kind = 't' then 'E''\x01\x02'' operator(pg_catalog.||) ' || _written
                else 'case when ' || _value || ' is distinct from null then pg_catalog.concat(E''\x01\x02'', ' || _written || ') end' end;
            _chars := _chars || case _c.kind when 't' then '%+ &=:,/@"()!?;' || '''' || E'\n' when 'c' then '%+ &=/:",{}' else '%+ &=:,{}"()' end;
        end if;
        _sep := '&';
        if _c.present and _c.name <> all (_never_null) then
            _present := _present || _value;
        end if;
        if _c.kind in ('t', 'c', 'x') or _quick and _json then
            _checked := _checked || _value;
        end if;
        if _c.kind in ('t', 'b') then
            _sizes := _sizes || format(', pg_catalog.octet_length(%s)', _value);
        elsif _json or _c.kind = 'x' then
            _packed := _packed || format(', pg_catalog.pg_column_size(%s)', _value);
        end if;
        _count := _count + 1;
        if _count = 90 then
            _call := _call || ' operator(pg_catalog.||) (pg_catalog.format(' || pgq._capture_quote(_format) || _args || ') collate pg_catalog."C")';
            _format := '';
            _args := '';
            _count := 0;
        end if;
    end loop;
    if _careful = '' or i_way = 'careful' then
        return coalesce(nullif(substr(_careful, length(' operator(pg_catalog.||) ') + 1), ''), '''''::pg_catalog.text');
    end if;

    if exists (select 1 from pgq._capture_columns(i_table, i_ignored) k where not k.ignored and k.name ~ '[^A-Za-z0-9_.-]' collate "C") then
        return null;
    end if;
    if _count > 0 then
        _call := _call || ' operator(pg_catalog.||) (pg_catalog.format(' || pgq._capture_quote(_format) || _args || ') collate pg_catalog."C")';
    end if;
    _call := substr(_call, length(' operator(pg_catalog.||) ') + 1);

    if _quick and _checked <> '{}' then
        _chars := _chars || i_chars;
    end if;
    foreach _char in array _usual || array(select c from unnest(string_to_array(i_chars, null)) c where _quick and c <> all (_usual)) loop
        if strpos(_chars, _char) > 0 then
            _call := format('pg_catalog.replace(%s, %s, %L)', _call, pgq._capture_quote(_char), pgq._urlencode(_char));
        end if;
    end loop;
    if _held then
        _call := format('pg_catalog.replace(pg_catalog.replace(%s, E''\x01'', ''&''), E''\x02'', ''='')', _call);
    elsif not _quick then
        _call := format('pg_catalog.replace(%s, E''\x01\x02'', ''='')', _call);
        if _nullable then
            _call := format('pg_catalog.replace(pg_catalog.replace(%s, E''\x01\x03\x01'', E''\x01''), E''\x01\x03'', ''='')', _call);
        end if;
        _call := format('pg_catalog.rtrim(pg_catalog.replace(%s, E''\x01'', ''&''), ''&'')', _call);
    end if;
    if _checked <> '{}' then
        -- concat() takes 100 values as well
        select string_agg('pg_catalog.concat(' || p.piece || ')', ' operator(pg_catalog.||) ' order by p.nr) into _text
          from (select min(u.nr) as nr, string_agg(u.v, ', ' order by u.nr) as piece
                  from unnest(_checked) with ordinality u (v, nr)
                 group by (u.nr - 1) / 90) p;
        _call := format('case when %s then %s end',
            case when _quick
                 -- a ] stands first in its list, a [ before nothing that it could open
                 then _text || ' operator(pg_catalog.!~) ' || pgq._capture_quote('[^' || case when strpos(_chars, ']') > 0 then ']' else '' end || 'A-Za-z0-9_.'
                      || (select coalesce(string_agg(c, ''), '') from unnest('{" ",+,:,",",@,/,"\"","{","}"}'::text[]) c where strpos(_chars, c) > 0)
                      || (select coalesce(string_agg(case when ascii(c) < 128 then '\u' || lpad(to_hex(ascii(c)), 4, '0') else c end, ''), '')
                            from unnest(string_to_array(i_chars, null)) c where c <> all ('{" ",+,:,",",@,/,"\"","{","}",[,]}'))
                      || case when strpos(_chars, '[') > 0 then '[' else '' end || '-]') || ' collate pg_catalog."C"'
                 else format('pg_catalog.strpos((%s) collate pg_catalog."C", E''\x01'') operator(pg_catalog.=) 0', _text) end,
            _call);
    end if;
    -- a NOT NULL may be gone
    select string_agg('pg_catalog.num_nulls(' || p.piece || ') operator(pg_catalog.=) 0', ' and ' order by p.nr) into _whole
      from (select min(u.nr) as nr, string_agg(u.v, ', ' order by u.nr) as piece
              from unnest(_present) with ordinality u (v, nr)
             group by (u.nr - 1) / 90) p;
    if _sizes <> '' or _packed <> '' or _whole is not null then
        -- before its text is looked at; what may be compressed is no more than ten times as large, unless it repeats itself
        _call := format('case when %s then %s end',
            concat_ws(' and ',
                case when _sizes = '' and _packed = '' then null
                     when _quick and i_row in ('new', 'old') then format('pg_catalog.pg_column_size(%s) operator(pg_catalog.<) 1000000', i_row)
                     else format('greatest(0%s) operator(pg_catalog.<) 1000000', _sizes)
                          || case when _packed <> '' then format(' and greatest(0%s) operator(pg_catalog.<) 100000', _packed) else '' end end,
                _whole),
            _call);
    end if;
    return _call;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_rest(i_data text)
returns text as $$
-- Encodes what the chain left over in a row: runs of characters that are never written as they are.  One after the other
-- while they are few, then all that remain at once.
--
-- Names are qualified instead of a pinned search_path, and backslashes stand in E'' only: this may run for each row.
declare
    _data text collate pg_catalog."C" := i_data;
    _run text collate pg_catalog."C";
begin
    for _n in 1 .. 40 loop
        _run := pg_catalog.substring(_data, '[^A-Za-z0-9_.&%=+-]+' collate pg_catalog."C");
        if _run is null then
            return _data;
        end if;
        _data := pg_catalog.replace(_data, _run, pg_catalog.regexp_replace(
            pg_catalog.encode(pg_catalog.convert_to(_run, pgq._event_encoding()), 'hex'), '(..)', E'%\\1', 'g'));
    end loop;
    select pg_catalog.string_agg(m[1] operator(pg_catalog.||) pg_catalog.regexp_replace(
               pg_catalog.encode(pg_catalog.convert_to(m[2], pgq._event_encoding()), 'hex'), '(..)', E'%\\1', 'g'), '' order by nr)
      into _data
      from pg_catalog.regexp_matches(_data, '([A-Za-z0-9_.&%=+-]*)([^A-Za-z0-9_.&%=+-]*)' collate pg_catalog."C", 'g') with ordinality u (m, nr);
    return _data;
end;
$$ language plpgsql strict immutable;

create or replace function pgq._capture_urlencode(text)
returns text as $$
-- pgq._urlencode for code that runs as the owner of PgQ under the search_path of anybody.
begin
    return pgq._urlencode($1);
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pgq, pg_temp;
