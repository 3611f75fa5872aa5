-- Keys that are DEFERRABLE: two rows may have one for a while, and events tell rows by nothing else.

create or replace function pgq._capture_postponed(i_prefix text, i_extra text, i_key_text text, i_key text, i_data text, i_xmin xid, i_function name, i_table oid)
returns text[] as $$
-- Makes a delete of one of several rows that have a key possible.
--
-- What this transaction has logged of rows with the key, nobody has seen yet: it has still to commit.  A row that it inserted itself is taken out of the
-- log with its events; what it inserted before it deleted the row that had the key first, goes behind the delete.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the key, as events write it
--      i_data      - all of the deleted row, likewise
--      i_xmin      - who wrote it
-- Returns:
--      type, data and ev_extra2 of each event to be written behind the delete; null if there is nothing to be written, the delete neither; one
--      value if that cannot be told: the statement that wrote the row has not logged it yet
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _written constant text := format('%s e where e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2, ''D:'' || $2)'
                                     ' and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')', i_prefix);
    _ids int8[];
    _ops text[];
    _datas text[];
    _begin int4;        -- of what was written since the last delete
    _first int4;
    _last int4;
    _moved text[];
    _context text;
    _nested boolean;
    _nothing boolean;
    _own constant boolean := pgq._capture_own(i_xmin);
    _secret text;
    _setting text;
    _done text;
begin
    get diagnostics _context = pg_context;
    -- this function and its caller; nothing else is at work in the client's own statement
    _nested := split_part(_context, chr(10), 3) <> '';
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, concat('inserted', i_function));
    if current_setting(_setting, true) = 'none' and not (_own and _nested) then
        return '{}';
    end if;
    execute format('select array_agg(e.ev_id order by e.ev_id), array_agg(left(e.ev_type, 1) order by e.ev_id), array_agg(e.ev_data order by e.ev_id) from %s', _written)
       into _ids, _ops, _datas using i_extra, i_key_text, i_key;
    if ('I' = any (_ops)) is not true then
        -- deletes of many rows would look through their own events again and again
        execute format('select not exists (select 1 from %s e where e.ev_txid = txid_current() and e.ev_extra1 = $1 and starts_with(e.ev_type, ''I:''))', i_prefix)
           into _nothing using i_extra;
        if _nothing then
            _done := set_config(_setting, 'none', true);
        end if;
    end if;
    _begin := coalesce((select max(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.op = 'D'), 0) + 1;
    if _own then
        -- equal rows are as good as each other
        _last := (select max(u.nr) from unnest(_datas) with ordinality u (data, nr) where u.nr >= _begin and u.data = i_data);
        _first := (select max(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.nr between _begin and _last and u.op = 'I');
        if _nested and (_last is null or _ops[_last] = 'U' and pg_trigger_depth() > 1 and pgq._capture_has_first(i_function, i_table)) then
            return '{not logged}';
        elsif _first is null then
            return '{}';
        end if;
        execute format('delete from %s and e.ev_id = any ($4)', _written) using i_extra, i_key_text, i_key, _ids[_first:_last];
        return null;
    end if;
    _first := (select min(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.nr >= _begin and u.op = 'I');
    if _first is null then
        return '{}';
    end if;
    execute format('with gone as (
                        delete from %s and e.ev_id = any ($4)
                        returning e.ev_id, array[e.ev_type, e.ev_data, e.ev_extra2] as event
                    ) select array_agg(g.event[n] order by g.ev_id, n) from gone g, generate_series(1, 3) n', _written)
       into _moved using i_extra, i_key_text, i_key, _ids[_first:];
    return _moved;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off;

create or replace function pgq._capture_inserted(i_function name)
returns boolean as $$
-- Notes that this transaction has inserted into a table whose key is DEFERRABLE.
--
-- Returns:
--      true
declare
    _secret text;
    _setting text;
    _done text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, concat('inserted', i_function));
    if current_setting(_setting, true) <> '' then
        _done := set_config(_setting, '', true);
    end if;
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_own(i_xmin xid)
returns boolean as $$
-- Whether a row that is locked was written by this transaction.
--
-- Numbers of transactions that others have begun later are younger, too; but those have ended, or it would not be locked.
declare
    _current int8 := pg_current_xact_id()::text::int8;
    _distance int8 := i_xmin::text::int8 - (_current & 4294967295);
begin
    if _distance < -2147483648 then
        _distance := _distance + 4294967296;
    elsif _distance > 2147483648 then
        _distance := _distance - 4294967296;
    end if;
    return _distance >= 0 and pg_xact_status((_current + _distance)::text::xid8) = 'in progress';
exception when invalid_parameter_value then
    -- still to come: the row is frozen, and older than numbers go
    return false;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_behind(i_queue text, i_extra text, i_taken text[])
returns void as $$
-- Writes events once more.
--
-- Parameters:
--      i_taken     - type, data and ev_extra2 of each in turn
begin
    for _n in 1 .. coalesce(cardinality(i_taken), 0) by 3 loop
        perform pgq._capture_event(i_queue, null, i_taken[_n], i_taken[_n + 1], i_extra, i_taken[_n + 2]);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_has_first(i_function name, i_table oid)
returns boolean as $$
-- Whether a row of a table was changed, inside of a function or trigger, whose insert may still have to be written.
declare
    _secret text;
    _setting text;
    _filled text[];
    _found boolean := false;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, 'message');
    if current_setting(_setting, true) = pgq._capture_message() then
        _setting := pgq._capture_kept(_secret, 'filled');
        _filled := string_to_array(current_setting(_setting, true), ' ');
        for _n in 1 .. coalesce(cardinality(_filled), 0) loop
            _setting := pgq._capture_kept(_secret, concat('order_', _filled[_n]));
            _found := _found or strpos(current_setting(_setting, true), pgq._capture_order_table(i_function, i_table, 'I')) > 0;
        end loop;
    end if;
    return _found;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
