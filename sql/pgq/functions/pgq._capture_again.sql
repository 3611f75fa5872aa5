-- Keys that a trigger uses again while the delete of their rows is not logged yet.
--
-- DELETE FROM t WHERE id IN (1, 2), and a trigger that fires for row 1 inserts a new row 2: its insert is logged at once, row 2's delete
-- after it.  In this order no subscriber can apply them.  So capture notes in a transaction-local setting that a trigger has
-- inserted rows into the table; a delete that is logged later in that transaction looks whether its key is there again, and if
-- so has the insert's event taken out of the queue, which nobody has seen yet, and writes it after its own.

create or replace function pgq._capture_inside(i_function name)
returns text as $$
-- Name of the setting that says that a trigger has inserted rows into the table in this transaction.
    select 'pgq.inside' || i_function;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_again(i_capture pgq.capture, i_table oid, i_words record, i_old text)
returns text as $$
-- Writes the rest of a SELECT, from its list on, that finds the row that has a key again.
--
-- It returns the command that wrote that row, its key and its data, both as events have them.
--
-- Parameters:
--      i_words     - what pgq._capture_words returned
--      i_old       - the row that had the key, as SQL
-- Returns:
--      SQL; null where rows cannot be found by an operator of PostgreSQL's own, since it runs as the owner of PgQ
declare
    _p pgq.trigger_plan%rowtype := i_words.plan;
    _others text[];
    _same text;
    _own boolean;
begin
    if not i_words.has_key or (pgq._trigger_options(i_capture.queue_name || i_capture.options)).pkey is not null then
        return null;
    end if;
    with recursive base (name, type) as (
        select a.attname::text, a.atttypid
          from pg_attribute a
         where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and a.attname = any (i_words.key_columns)
        union all
        select b.name, t.typbasetype from base b join pg_type t on t.oid = b.type and t.typtype = 'd'
    )
    select string_agg(format('x.%1$s operator(pg_catalog.=) %2$s.%1$s', k.ident, i_old), ' and ' order by k.nr),
           -- not enumerations: a cast of their owner's could take part in choosing the operator
           bool_and(t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace and t.typelem = 0)
      into _same, _own
      from pgq._capture_columns(i_table, '{}') k
           join base b on b.name = k.name
           join pg_type t on t.oid = b.type and t.typtype <> 'd';
    if not _own then
        return null;
    end if;
    _others := array(select k.name from pgq._capture_columns(i_table, '{}') k where k.name <> all (i_words.key_columns));
    return format('x.cmin::pg_catalog.text::pg_catalog.int8, %s, %s from only %I.%I x where %s',
                  pgq._capture_encode(i_table, _others, 'x', 'careful'), pgq._capture_encode(i_table, i_words.ignored, 'x', 'careful'),
                  _p.rel_schema, _p.rel_name, _same);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_take_back(i_prefix text, i_extra text, i_key_text text, i_key text, i_command int8)
returns boolean as $$
-- Takes the event of a row's insert out of the queue if the row as it is now is logged already.
--
-- If it is not, its event is still to come, and will come in the right order.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the key as events have it
--      i_command   - the command of this transaction that wrote the row
-- Returns:
--      whether an event was taken out
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _insert record;
begin
    execute format('select (max(e.cmin::text::int8) > $5) as logged,
                           (array_agg(e.tableoid order by e.ev_id desc) filter (where e.ev_type = $2))[1] as part,
                           (array_agg(e.ctid order by e.ev_id desc) filter (where e.ev_type = $2))[1] as place
                      from %s e
                     where e.ev_txid = txid_current() and e.ev_type in ($2, $3) and e.ev_extra1 = $1
                       and string_to_array(e.ev_data, ''&'') @> string_to_array($4, ''&'')', i_prefix)
       into _insert using i_extra, 'I:' || i_key_text, 'U:' || i_key_text, i_key, i_command;
    if _insert.logged and _insert.place is not null then
        execute format('delete from only %s e where e.ctid = $1', _insert.part::regclass) using _insert.place;
        return true;
    end if;
    return false;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_used_again(i_queue text, i_function name, i_table oid, i_old record, i_extra text)
returns text as $$
-- As generated code does it, for a row that it was not written for.
--
-- Parameters:
--      i_extra     - ev_extra1
-- Returns:
--      data of the row that has the key of i_old again, whose event was taken out; else null
declare
    _c pgq.capture%rowtype;
    _w record;
    _find text;
    _command int8;
    _key text;
    _again text;
begin
    select * into _c from pgq.capture c where c.function_name = i_function and c.queue_name = i_queue;
    if not found or coalesce(current_setting(pgq._capture_inside(i_function), true), '') = ''
       or not has_table_privilege(i_table, 'select') or row_security_active(i_table) then
        return null;
    end if;
    _w := pgq._capture_words(_c, i_table);
    _find := pgq._capture_again(_c, i_table, _w, '($1)');
    if _find is not null then
        execute 'select ' || _find into _command, _key, _again using i_old;
        if _key is not null and pgq._capture_take_back(_w.prefix, i_extra, _w.key_text, _key, _command) then
            return _again;
        end if;
    end if;
    return null;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
