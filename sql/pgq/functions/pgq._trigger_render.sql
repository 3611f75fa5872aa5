-- of an older version
drop function if exists pgq._trigger_urlenc(text[], text[], text[]);

create or replace function pgq._trigger_urlenc(i_pairs text, i_label text[], i_role text[], i_values text[])
returns text as $$
-- Writes a row as url-encoded pairs: col=value&col=value, a null as the bare name.
--
-- All values are encoded in one piece, with separators that do not occur in them; a row where they do, or a large one,
-- goes value by value.
--
-- Parameters:
--      i_pairs     - format() of the whole, see pgq.trigger_plan
--      all live columns in table order: encoded names, roles (d is data), values
-- Errors:
--      program_limit_exceeded: a row larger than 1 GB
declare
    -- whatever the collations of columns take for equal
    _text text collate pg_catalog."C" := pg_catalog.array_to_string(i_values, E'\x01', E'\x02');   -- a null is a value of its own
    _encoded text collate pg_catalog."C";
    _pieces text[] := '{}';
    _v text collate pg_catalog."C";
begin
    if pg_catalog.octet_length(_text) operator(pg_catalog.<) 100000
       and pg_catalog.strpos(pg_catalog.array_to_string(i_values, '') collate pg_catalog."C", E'\x01') operator(pg_catalog.=) 0
       and pg_catalog.strpos(pg_catalog.array_to_string(i_values, '') collate pg_catalog."C", E'\x02') operator(pg_catalog.=) 0 then
        -- the characters that pgq._urlencode looks at first
        _encoded := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
                    pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
                        _text, '%', '%25'), '+', '%2b'), ' ', '+'), ':', '%3a'), ',', '%2c'), '/', '%2f'),
                        '"', '%22'), '''', '%27'), '@', '%40'), '=', '%3d');
        if _encoded operator(pg_catalog.!~) E'[^A-Za-z0-9_.%+\x01\x02-]' collate pg_catalog."C" then
            return pg_catalog.replace(pg_catalog.format(i_pairs, variadic pg_catalog.string_to_array(_encoded, E'\x01')),
                                      E'=\x02', '');
        end if;
        -- encodes the separators as well; what a value has of % is %25 then
        return pg_catalog.replace(pg_catalog.format(i_pairs, variadic pg_catalog.string_to_array(pgq._urlencode(_text), '%01')),
                                  '=%02', '');
    end if;

    begin
        for _i in 1 .. pg_catalog.cardinality(i_values) loop
            if i_role[_i] operator(pg_catalog.=) 'd' then
                _v := i_values[_i];
                _pieces := _pieces operator(pg_catalog.||) case
                    when _v is null then i_label[_i]
                    when _v operator(pg_catalog.!~) '[^A-Za-z0-9_.-]' collate pg_catalog."C" then i_label[_i] operator(pg_catalog.||) '=' operator(pg_catalog.||) _v
                    else i_label[_i] operator(pg_catalog.||) '=' operator(pg_catalog.||) pgq._urlencode(_v) end;
            end if;
        end loop;
        return pg_catalog.array_to_string(_pieces, '&');
    exception when program_limit_exceeded or internal_error then
        if sqlstate operator(pg_catalog.=) 'XX000' and pg_catalog.strpos(sqlerrm, 'invalid memory alloc request size') operator(pg_catalog.=) 0 then
            raise;
        end if;
        raise exception 'changes cannot be logged: a row larger than 1 GB' using errcode = 'program_limit_exceeded', detail = sqlerrm;
    end;
end;
$$ language plpgsql;

create or replace function pgq._trigger_json(i_plan pgq.trigger_plan, i_values text[])
returns text as $$
-- Writes a row as a JSON object without spaces.
--
-- Parameters:
--      i_values    - values of all live columns, in table order
declare
    _pieces text[] := '{}';
    _v text;
begin
    for _i in 1 .. pg_catalog.cardinality(i_values) loop
        if i_plan.role[_i] operator(pg_catalog.=) 'd' then
            _v := i_values[_i];
            _pieces := _pieces operator(pg_catalog.||) (i_plan.label[_i] operator(pg_catalog.||) case
                when _v is null then 'null'
                when i_plan.class[_i] operator(pg_catalog.=) 'n' then _v
                when i_plan.class[_i] operator(pg_catalog.=) 'b' then case when _v operator(pg_catalog.=) 't' then 'true' else 'false' end
                else pg_catalog.textin(pg_catalog.json_out(pg_catalog.to_json(_v))) end);
        end if;
    end loop;
    return '{' operator(pg_catalog.||) pg_catalog.array_to_string(_pieces, ',') operator(pg_catalog.||) '}';
end;
$$ language plpgsql;

create or replace function pgq._trigger_sql(i_plan pgq.trigger_plan, i_op text, i_new text[], i_old text[], i_equal boolean[])
returns text as $$
-- Writes a change as part of an SQL statement:
--
--      INSERT      (a,b) values ('1',null)
--      UPDATE      a='1',b=NULL where k='2'    changed columns; when none changed, the first key column
--      DELETE      k='2'
--
-- Parameters:
--      i_new, i_old, i_equal   - of all live columns, in table order; for DELETE, i_new is the row
-- Errors:
--      logtriga: Unexpected NULL key value
declare
    _left text[] := '{}';
    _right text[] := '{}';
    _key text;
begin
    for _i in 1 .. pg_catalog.cardinality(i_new) loop
        if i_op operator(pg_catalog.=) 'INSERT' then
            if i_plan.role[_i] operator(pg_catalog.=) 'd' then
                _left := _left operator(pg_catalog.||) i_plan.label[_i];
                _right := _right operator(pg_catalog.||) coalesce(pg_catalog.quote_literal(i_new[_i]), 'null');
            end if;
        else
            if i_op operator(pg_catalog.=) 'UPDATE' and i_plan.role[_i] operator(pg_catalog.=) 'd' and not i_equal[_i] then
                _left := _left operator(pg_catalog.||) (i_plan.label[_i] operator(pg_catalog.||) '=' operator(pg_catalog.||) coalesce(pg_catalog.quote_literal(i_new[_i]), 'NULL'));
            end if;
            if i_plan.is_key[_i] then
                _key := i_plan.label[_i] operator(pg_catalog.||) '=' operator(pg_catalog.||) pg_catalog.quote_literal(
                    case when i_op operator(pg_catalog.=) 'UPDATE' then i_old[_i] else i_new[_i] end);
                if _key is null then
                    raise exception 'logtriga: Unexpected NULL key value'
                        using errcode = 'null_value_not_allowed',
                              detail = 'Column: ' operator(pg_catalog.||) i_plan.cols[_i];
                end if;
                _right := _right operator(pg_catalog.||) _key;
            end if;
        end if;
    end loop;
    if i_op operator(pg_catalog.=) 'INSERT' then
        return '(' operator(pg_catalog.||) pg_catalog.array_to_string(_left, ',') operator(pg_catalog.||) ') values ('
            operator(pg_catalog.||) pg_catalog.array_to_string(_right, ',') operator(pg_catalog.||) ')';
    elsif i_op operator(pg_catalog.=) 'UPDATE' then
        if _left operator(pg_catalog.=) '{}' then
            if _right operator(pg_catalog.=) '{}' then
                -- pkey= names no column of the table
                raise exception 'logtriga: Unexpected NULL key value' using errcode = 'null_value_not_allowed';
            end if;
            _left := _right[1:1];
        end if;
        return pg_catalog.array_to_string(_left, ',') operator(pg_catalog.||) ' where ' operator(pg_catalog.||) pg_catalog.array_to_string(_right, ' and ');
    end if;
    return pg_catalog.array_to_string(_right, ' and ');
end;
$$ language plpgsql;
