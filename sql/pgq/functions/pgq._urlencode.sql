create or replace function pgq._urlencode_bytes(i_data bytea)
returns text as $$
-- Url-encodes bytes one by one, in time linear in their number, whatever they are.
--
-- Backslashes stand in E'' only: this runs in sessions with standard_conforming_strings = off, too.
--
-- A table holds three characters for each byte value.  Bytes that stay as they are get filled up with ~, which is
-- never in the result itself.  Of a large value two bytes are looked up at a time, in a table of all pairs: it takes half
-- the time, and the 50 ms that the table takes do not count.
declare
    _size constant integer := 100000;       -- even, so that no pair is divided
    _table bytea;
    _pairs bytea;
    _bytes bytea;
    _codes bytea;
    _pieces text[] := '{}';
begin
    select pg_catalog.string_agg(
               case when b = 32
                        then E'\\x2b7e7e'::bytea
                    when b between 48 and 57 or b between 65 and 90 or b between 97 and 122 or b in (45, 46, 95)
                        then pg_catalog.set_byte(E'\\x007e7e'::bytea, 0, b)
                    else pg_catalog.decode('25' || pg_catalog.encode(pg_catalog.convert_to(
                             pg_catalog.lpad(pg_catalog.to_hex(b), 2, '0'), 'SQL_ASCII'), 'hex'), 'hex')
               end, ''::bytea order by b)
      into _table
      from pg_catalog.generate_series(0, 255) b;

    if pg_catalog.length(i_data) >= 500000 then
        select pg_catalog.string_agg(
                   pg_catalog.substring(_table, 3 * (n / 256) + 1, 3) || pg_catalog.substring(_table, 3 * (n % 256) + 1, 3),
                   ''::bytea order by n)
          into _pairs
          from pg_catalog.generate_series(0, 65535) n;
    end if;

    -- generate_series() in FROM would store its rows first
    for _n in 0 .. (pg_catalog.length(i_data) - 1) / _size loop
        _bytes := pg_catalog.substring(i_data, _n * _size + 1, _size);
        if _pairs is null then
            select pg_catalog.string_agg(pg_catalog.substring(_table, 3 * pg_catalog.get_byte(_bytes, c.i) + 1, 3), null)
              into _codes
              from (select pg_catalog.generate_series(0, pg_catalog.length(_bytes) - 1) as i offset 0) c;
        else
            select pg_catalog.string_agg(pg_catalog.substring(_pairs,
                       1536 * pg_catalog.get_byte(_bytes, c.i) + 6 * pg_catalog.get_byte(_bytes, c.i + 1) + 1, 6), null)
              into _codes
              from (select pg_catalog.generate_series(0, pg_catalog.length(_bytes) - 2, 2) as i offset 0) c;
            if pg_catalog.length(_bytes) % 2 = 1 then
                _codes := coalesce(_codes, ''::bytea)
                    || pg_catalog.substring(_table, 3 * pg_catalog.get_byte(_bytes, pg_catalog.length(_bytes) - 1) + 1, 3);
            end if;
        end if;
        _pieces := _pieces || pg_catalog.replace(pg_catalog.convert_from(_codes, 'SQL_ASCII'), '~', '');
    end loop;
    return pg_catalog.array_to_string(_pieces, '');
end;
$$ language plpgsql strict immutable;

create or replace function pgq._urlencode(val text)
returns text as $$
-- Url-encodes a text the way event data is written: A-Z a-z 0-9 _ . - stay, space becomes +, every other
-- byte %xx in lower case: of UTF-8 whatever the encoding of the database, as consumers decode it; where there is none
-- (SQL_ASCII), the byte as it is.
--
-- Three ways, by what the text is like: nothing to encode; some characters of ASCII or few different others, which are
-- replaced one after the other; anything else byte by byte.
declare
    -- what its caller's collation takes for equal is not
    _v text collate pg_catalog."C" := val;
    _char text collate pg_catalog."C";
    _code text;
begin
    if _v !~ '[^A-Za-z0-9_.-]' collate "C" then
        return _v;
    end if;

    if pg_catalog.octet_length(_v) < 100000 then
        -- one expression: what usually is in short values
        _v := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
              pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
                  _v, '%', '%25'), '+', '%2b'), ' ', '+'), ':', '%3a'), ',', '%2c'), '/', '%2f'),
                  '"', '%22'), '''', '%27'), '@', '%40'), '=', '%3d');
    elsif (select pg_catalog.count(distinct c)
             from pg_catalog.regexp_split_to_table(pg_catalog."left"(_v, 4000), '') c
            where c ~ '[^A-Za-z0-9_.-]' collate "C") > 20 then
        return pgq._urlencode_bytes(pg_catalog.convert_to(val, pgq._event_encoding()));
    else
        -- step by step: no more than two copies of a large value at a time
        _v := pg_catalog.replace(_v, '%', '%25');
        _v := pg_catalog.replace(_v, '+', '%2b');
        _v := pg_catalog.replace(_v, ' ', '+');
    end if;

    for _try in 1 .. 70 loop
        _char := pg_catalog.substring(_v, '[^A-Za-z0-9_.%+-]' collate "C");
        if _char is null then
            return _v;
        end if;
        _code := pg_catalog.regexp_replace(
            pg_catalog.encode(pg_catalog.convert_to(_char, pgq._event_encoding()), 'hex'),
            '(..)', E'%\\1', 'g');
        _v := pg_catalog.replace(_v, _char, _code);
    end loop;
    _v := null;
    return pgq._urlencode_bytes(pg_catalog.convert_to(val, pgq._event_encoding()));
end;
$$ language plpgsql strict immutable;
