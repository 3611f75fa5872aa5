-- Unique values that a trigger or function uses again while the change that freed them is not logged yet.
--
-- DELETE FROM t WHERE id IN (1, 2), and a trigger that fires for row 1 inserts a new row 2: its insert is logged at once, row 2's delete
-- after it.  In this order no subscriber can apply them.  The same with any other unique value, which an update may free and
-- take as well.  So capture notes in a transaction-local setting the last command of this transaction that may have taken values; a change that is logged
-- after that, was made before it and frees values looks which rows have them, takes the events of these rows out of the queue, which nobody has
-- seen yet, and writes them behind its own.

create or replace function pgq._capture_taking(i_function name)
returns text as $$
-- Name of the setting that has the number of the last command of this transaction by which a row of the table may have taken unique values.
    select 'pgq.taking' || i_function;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_inside(i_function name)
returns text as $$
-- Name of the setting that has the highest number of a command by which a row has taken other unique values, or was inserted by a trigger.
    select 'pgq.inside' || i_function;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_own(i_writer xid)
returns boolean as $$
-- Whether a transaction that wrote a row seen here is this one, or a savepoint of it.
--
-- Any other that is seen has been committed.  Savepoints have higher numbers than their transaction; a row that was written two thousand
-- million transactions ago seems to have one, too.
declare
    _here int8 := txid_current();
    _ahead int8 := (i_writer::text::int8 - _here % 4294967296 + 4294967296) % 4294967296;
begin
    if i_writer::text::int8 <= 2 or _ahead >= 2147483648 then
        return false;
    elsif _ahead = 0 then
        return true;
    end if;
    begin
        return coalesce(txid_status(_here + _ahead), 'committed') = 'in progress';
    exception when invalid_parameter_value then
        -- in the future
        return false;
    end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_some(i_table oid, i_columns text[], i_row text)
returns text as $$
-- Writes the SQL of some columns of a row, as its event has them.
    select pgq._capture_encode(i_table, array(select k.name from pgq._capture_columns(i_table, '{}') k where k.name <> all (i_columns)), i_row, 'careful');
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_holders(i_table oid, i_words record, i_columns text[], i_same text, i_self text, i_command text)
returns text as $$
-- Writes a query for the rows x that have unique values of another: their keys, those values, and all their data, as events write it; the command
-- that wrote them, or null where that is not to be known.
--
-- Parameters:
--      i_columns   - whose values are unique
--      i_same      - SQL: x has them
--      i_self, i_command   - as below
declare
    _p pgq.trigger_plan%rowtype := i_words.plan;
begin
    return format('select %1$s, %2$s, %3$s, case when x.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid then x.cmin::pg_catalog.text::pg_catalog.int8 end'
                  ' from only %4$I.%5$I x where %6$s and (%7$s is null or x.ctid operator(pg_catalog.<>) %7$s)'
                  ' and (%8$s is null or not (x.xmax operator(pg_catalog.=) ''0''::pg_catalog.xid and x.cmin operator(pg_catalog.=) %8$s))',
                  pgq._capture_some(i_table, i_words.key_columns, 'x'), pgq._capture_some(i_table, i_columns, 'x'),
                  pgq._capture_encode(i_table, i_words.ignored, 'x', 'careful'), _p.rel_schema, _p.rel_name, i_same, i_self, i_command);
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_again(
    i_capture pgq.capture, i_table oid, i_words record, i_old text, i_self text, i_command text,
    out find text, out freed text, out same text, out indexed boolean, out certain boolean, out postponed boolean)
as $$
-- Writes the SQL that deals with unique values of a row that others have by now.
--
-- Parameters:
--      i_words     - what pgq._capture_words returned
--      i_old       - the row that had them, as SQL
--      i_self      - the place of its own newest version, as SQL: null when it is gone
--      i_command   - the command that wrote that version, as SQL: what else it wrote is logged in its order.  Null where that is not to be known
-- Returns:
--      find        - what pgq._capture_holders writes, a row for each, with all that it has in an array; null if there is nothing to look for
--      freed       - an array of what the row had, an element for each unique index in which nobody else could have the same
--      same        - SQL: OLD and NEW have the same unique values besides those of the key; null if there are no others
--      indexed     - it takes no scan of the table
--      certain     - see pgq._capture_equal()
--      postponed   - two rows may have a value until the transaction ends
begin
    if not i_words.has_key then
        return;
    end if;
    select 'select h.key, pg_catalog.array_agg(h.has), h.data, h.wrote from ('
           || string_agg(pgq._capture_holders(i_table, i_words, u.columns, u.same, i_self, i_command), ' union all ' order by u.index_id)
           || ') h (key, has, data, wrote) group by h.key, h.data, h.wrote',
           format('pg_catalog.array_remove(array[%s], null)',
                  string_agg(format('case when %s then %s end', u.known, pgq._capture_some(i_table, u.columns, i_old)), ', ' order by u.index_id)),
           bool_and(u.indexed), bool_and(u.certain), bool_or(u.postponed)
      into find, freed, indexed, certain, postponed
      from pgq._capture_uniques(i_table, i_words.ignored, i_old) u;
    select string_agg(pgq._capture_unchanged(a.atttypid, c.ident, c.present), ' and ' order by c.nr)
      into same
      from pgq._capture_columns(i_table, '{}') c join pg_attribute a on a.attrelid = i_table and a.attname = c.name
     where c.name <> all (i_words.key_columns)
       and (c.name in (select unnest(u.columns) from pgq._capture_uniques(i_table, i_words.ignored, i_old) u)
            or c.name in (select unnest(e.columns) from pgq._capture_expressions(i_table, i_words.ignored) e));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_again_by_expressions(i_queue text, i_function name, i_table oid, i_old record, i_self tid, i_command cid, i_extra text, i_taken text[])
returns text[] as $$
-- Takes the events back by which others have got what an expression makes unique of a row's values.
--
-- Parameters:
--      i_taken     - what has been taken out already
-- Returns:
--      what pgq._capture_take_back returns, for all of them
declare
    _c pgq.capture%rowtype;
    _w record;
    _e record;
    _key text;
    _held text;
    _data text;
    _command int8;
    _taken text[] := '{}';
begin
    select * into strict _c from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    _w := pgq._capture_words(_c, i_table);
    for _e in select * from pgq._capture_expressions(i_table, _w.ignored) loop
        for _key, _held, _data, _command in execute pgq._capture_holders(i_table, _w, _e.columns, _e.same, '$2', '$3') using i_old, i_self, i_command
        loop
            _taken := _taken || pgq._capture_take_back(_w.prefix, i_extra, _w.key_text, _key, array[_held], _data, _command, i_taken || _taken);
        end loop;
    end loop;
    return _taken;
end;
$$ language plpgsql
   set search_path = pg_catalog, pgq, pg_temp set DateStyle = 'ISO' set IntervalStyle = 'iso_8601'
   set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set standard_conforming_strings = on;

create or replace function pgq._capture_used_again(i_queue text, i_function name, i_table oid, i_old record, i_own boolean, i_self tid, i_extra text)
returns text[] as $$
-- As generated code does it, for a row that it was not written for.
--
-- Parameters:
--      i_own       - i_old was written by this transaction
--      i_self      - place of the row's own newest version; null when it is gone
--      i_extra     - ev_extra1
-- Returns:
--      what pgq._capture_overtaken and, for all rows that have values of i_old, pgq._capture_take_back return
declare
    _c pgq.capture%rowtype;
    _w record;
    _a record;
    _key text;
    _freed text[];
    _held text[];
    _data text;
    _command int8;
    _taken text[] := '{}';
begin
    select * into _c from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    if not found or concat(current_setting(pgq._capture_taking(i_function), true), current_setting(pgq._capture_inside(i_function), true)) = ''
       or not pgq._capture_may_read(i_table) then
        return '{}';
    end if;
    _w := pgq._capture_words(_c, i_table);
    _a := pgq._capture_again(_c, i_table, _w, '($1)', '$2', 'null::pg_catalog.cid');
    if _a.find is null then
        return '{}';
    end if;
    execute format('select %s, %s, %s', pgq._capture_some(i_table, _w.key_columns, '($1)'),
                   pgq._capture_encode(i_table, _w.ignored, '($1)', 'careful'), _a.freed) into _key, _data, _freed using i_old;
    _taken := pgq._capture_overtaken(_w.prefix, i_extra, _w.key_text, _key, _data, _freed, i_own);
    for _key, _held, _data, _command in execute _a.find using i_old, i_self loop
        _taken := _taken || pgq._capture_take_back(_w.prefix, i_extra, _w.key_text, _key, _held, _data, _command, _taken);
    end loop;
    return _taken || pgq._capture_again_by_expressions(i_queue, i_function, i_table, i_old, i_self, null, i_extra, _taken);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
