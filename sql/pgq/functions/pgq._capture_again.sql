-- Unique values that a trigger or function uses again while the change that freed them is not logged yet.
--
-- DELETE FROM t WHERE id IN (1, 2), and a trigger that fires for row 1 inserts a new row 2: its insert is logged at once, row 2's delete
-- after it.  In this order no subscriber can apply them.  The same with any other unique value, which an update may free and
-- take as well.  So capture notes in a transaction-local setting that values may have been taken; a change that is logged
-- later in that transaction and frees values looks which rows have them, takes the events of these rows out of the queue, which nobody has
-- seen yet, and writes them behind its own.

create or replace function pgq._capture_taking(i_function name)
returns text as $$
-- Name of the setting that says that rows of the table may have taken unique values in this transaction.
    select 'pgq.taking' || i_function;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_again(
    i_capture pgq.capture, i_table oid, i_words record, i_old text, i_self text, i_command text,
    out find text, out same text, out indexed boolean, out certain boolean)
as $$
-- Writes the SQL that deals with unique values of a row that others have by now.
--
-- Parameters:
--      i_words     - what pgq._capture_words returned
--      i_old       - the row that had them, as SQL
--      i_self      - the place of its own newest version, as SQL: null when it is gone
--      i_command   - the command that wrote that version, as SQL: what else it wrote is logged in its order.  Null where that is not to be known
-- Returns:
--      find        - a query for the rows that have them: their keys, what they have, and all their data, as events write it.  Null if there
--                    is nothing to look for
--      same        - OLD and NEW have the same unique values
--      indexed     - it takes no scan of the table
--      certain     - see pgq._capture_equal()
declare
    _p pgq.trigger_plan%rowtype := i_words.plan;
    _names text[] := array(select k.name from pgq._capture_columns(i_table, '{}') k);
begin
    if not i_words.has_key then
        return;
    end if;
    select string_agg(format('select %s, %s, %s from only %I.%I x where %s and (%s is null or x.ctid operator(pg_catalog.<>) %s)'
                             ' and (%s is null or not x.cmin operator(pg_catalog.=) %s)',
                             pgq._capture_encode(i_table, array(select n from unnest(_names) n where n <> all (i_words.key_columns)), 'x', 'careful'),
                             pgq._capture_encode(i_table, array(select n from unnest(_names) n where n <> all (u.columns)), 'x', 'careful'),
                             pgq._capture_encode(i_table, i_words.ignored, 'x', 'careful'),
                             _p.rel_schema, _p.rel_name, u.same, i_self, i_self, i_command, i_command), ' union all ' order by u.index_id),
           bool_and(u.indexed), bool_and(u.certain)
      into find, indexed, certain
      from pgq._capture_uniques(i_table, i_words.ignored, i_old) u;
    select string_agg(pgq._capture_unchanged(a.atttypid, c.ident, c.present), ' and ' order by c.nr)
      into same
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name = any (i_words.key_columns)
        or c.name in (select unnest(u.columns) from pgq._capture_uniques(i_table, i_words.ignored, i_old) u);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_take_back(i_prefix text, i_extra text, i_key_text text, i_key text, i_held text, i_data text)
returns text[] as $$
-- Takes the events out of the queue by which a row has got what it has.
--
-- Only if the row as it is now is logged already.  If it is not, its event is still to come, and will come in the right order.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the row's key, as events write it
--      i_held      - what it has, likewise
--      i_data      - all of it, likewise
-- Returns:
--      type and data of the event to write in their place; empty if none was taken out
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _table text := i_prefix || '_' || pg_sequence_last_value((i_prefix || '_state_seq')::regclass) / 2;
    _pages int8 := pg_relation_size(_table::regclass) / current_setting('block_size')::int8;
    _where text;
    _e record;
    _parts oid[];
    _places tid[];
    _op text;
    _complete boolean;
begin
    -- what a trigger has done just now is among the last events that were written, as a rule; to look through all those of a large transaction
    -- for each of its rows would take hours
    foreach _where in array array[format('only %s e where e.ctid >= ''(%s,0)'' and', _table, greatest(_pages - 16, 0)), format('%s e where', i_prefix)] loop
        _parts := '{}';
        _places := '{}';
        _op := 'U';
        _complete := false;
        for _e in execute format('select e.tableoid as part, e.ctid as place, "left"(e.ev_type, 1) as op, e.ev_data as data,
                                         string_to_array(e.ev_data, ''&'') @> string_to_array($4, ''&'') as has
                                    from %s e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2, ''D:'' || $2)
                                         and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')
                                   order by e.ev_id desc', _where)
                  using i_extra, i_key_text, i_key, i_held
        loop
            if _places = '{}' and (_e.op = 'D' or _e.data <> i_data) then
                return '{}';
            end if;
            if _e.has and _e.op <> 'D' then
                _parts := _parts || _e.part;
                _places := _places || _e.place;
                _op := _e.op;
            end if;
            _complete := _e.op <> 'U' or not _e.has;
            exit when _complete;
        end loop;
        exit when _complete;
    end loop;
    for _n in 1 .. cardinality(_places) loop
        execute format('delete from only %s e where e.ctid = $1', _parts[_n]::regclass) using _places[_n];
    end loop;
    return case when _places = '{}' then '{}' else array[_op || ':' || i_key_text, i_data] end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_behind(i_queue text, i_extra text, i_taken text[])
returns void as $$
-- Writes the events of rows that have taken unique values, behind the one that says that these are free.
--
-- Parameters:
--      i_taken     - types and data in turn, from pgq._capture_take_back
begin
    for _n in 1 .. cardinality(i_taken) by 2 loop
        perform pgq._capture_event(i_queue, i_taken[_n], i_taken[_n + 1], i_extra, null);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_used_again(i_queue text, i_function name, i_table oid, i_old record, i_self tid, i_extra text)
returns text[] as $$
-- As generated code does it, for a row that it was not written for.
--
-- Parameters:
--      i_self      - place of the row's own newest version; null when it is gone
--      i_extra     - ev_extra1
-- Returns:
--      what pgq._capture_take_back returns, for all rows that have values of i_old
declare
    _c pgq.capture%rowtype;
    _w record;
    _find text;
    _key text;
    _held text;
    _data text;
    _taken text[] := '{}';
begin
    select * into _c from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    if not found or coalesce(current_setting(pgq._capture_taking(i_function), true), '') = ''
       or not has_table_privilege(i_table, 'select') or row_security_active(i_table) then
        return '{}';
    end if;
    _w := pgq._capture_words(_c, i_table);
    select a.find into _find from pgq._capture_again(_c, i_table, _w, '($1)', '$2', 'null::pg_catalog.cid') a;
    if _find is not null then
        for _key, _held, _data in execute _find using i_old, i_self loop
            _taken := _taken || pgq._capture_take_back(_w.prefix, i_extra, _w.key_text, _key, _held, _data);
        end loop;
    end if;
    return _taken;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
