-- Every way of pgq._urlencode() gives what encoding byte by byte gives, at the sizes where it changes its way.
create function pg_temp.byte_by_byte(i_text text) returns text language sql as $$
    -- from arrays, as the byte of a text of any length is not found in constant time
    select coalesce(string_agg(case when h = '20' then '+'
                                    when h ~ '^(2d|2e|5f|3.|[4-7].)$' and chr(('x' || h)::bit(8)::int) ~ '^[A-Za-z0-9_.-]$' then chr(('x' || h)::bit(8)::int)
                                    else '%' || h end, '' order by nr), '')
      from regexp_split_to_table(regexp_replace(encode(convert_to(i_text, 'UTF8'), 'hex'), '(..)(?!$)', '\1,', 'g'), ',') with ordinality x(h, nr)
     where i_text <> ''
$$;

do $$
declare
    _ascii text := (select string_agg(chr(n), '' order by n) from generate_series(1, 127) n);
    -- more different characters than are replaced one after the other
    _many text := (select string_agg(chr(n), '' order by n) from generate_series(128, 3000, 7) n);
    _unit text;
    _times int;
    _size int;
begin
    foreach _unit in array array['', 'a', ' ', '~', '%', 'é', 'plain', _ascii, _many, '~ %' || _many || '~'] loop
        assert pgq._urlencode(_unit) = pg_temp.byte_by_byte(_unit), _unit;
    end loop;
    -- 100 000 bytes: no longer in one expression
    foreach _unit in array array['a', '/', 'é', '世', _ascii, _many, '~ %' || _many] loop
        _times := 110000 / octet_length(_unit);
        assert pgq._urlencode(repeat(_unit, _times)) = repeat(pg_temp.byte_by_byte(_unit), _times), _unit;
    end loop;
    -- more: in pieces; 500 000: two bytes at a time
    foreach _unit in array array['a', '世', '~ %' || _many] loop
        foreach _size in array array[500000, 1000000] loop
            for _more in 0 .. 3 loop
                _times := _size / octet_length(_unit);
                assert pgq._urlencode_bytes(convert_to(repeat(_unit, _times) || left('=~é', _more), 'UTF8'))
                       = repeat(pg_temp.byte_by_byte(_unit), _times) || pg_temp.byte_by_byte(left('=~é', _more)),
                    format('%s bytes and %s characters: %s', _size, _more, left(_unit, 60));
            end loop;
        end loop;
    end loop;
end $$;
