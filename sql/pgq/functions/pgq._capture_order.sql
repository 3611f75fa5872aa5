-- The numbers of events whose place in the order is not that of their writing: docs/how-capture-works.md.
--
-- A batch is read by ev_id, so the order of events is that in which their numbers were drawn.  Deletes, and updates that take nothing from
-- other rows, are written by a BEFORE trigger, which draws the number when the row is changed.  Two are written later than that:
--      an insert, by an AFTER trigger.  If its row is changed before that fires, that change draws a number for the insert first (first).
--      an update that the BEFORE trigger left to the AFTER trigger.  The latter's WHEN clause is evaluated as soon as the row
--      has been changed, and draws the number.
-- The number is kept until then in settings of the transaction, which a savepoint that is rolled back takes with it.  Everybody can change
-- settings, so nothing more than the order of one's own events depends on them: what has lost its number gets the next one.
--
-- Single changes pay for these functions, so they set nothing; all names in them are qualified instead.

create or replace function pgq._capture_order_setting(i_version tid)
returns text as $$
-- Name of the setting that keeps the numbers for versions of rows in some blocks, of any table.  A single one would grow too long; but PostgreSQL 14 and 15
-- look through all that there are whenever a function ends that sets one.
    select pg_catalog.concat('skytools.order_',
                             pg_catalog.split_part(pg_catalog.ltrim(i_version::pg_catalog.text, '('), ',', 1)::pg_catalog.int8 operator(pg_catalog.%) 256);
$$ language sql stable;    -- as concat() is: PostgreSQL does not inline it otherwise

create or replace function pgq._capture_order_key(i_function name, i_table oid, i_version tid, i_op text)
returns text as $$
-- What the numbers of one block are found by.  A table that was truncated or written anew has other versions in the same places.
    select pg_catalog.concat('<', i_op, i_function, '/', i_table, '/', pg_catalog.pg_relation_filenode(i_table), '/', pg_catalog.current_setting('skytools.truncated', true),
                             pg_catalog.split_part(i_version::pg_catalog.text, ',', 1), ')');
$$ language sql stable;

create or replace function pgq._capture_order_offset(i_version tid)
returns int8 as $$
    select pg_catalog.split_part(pg_catalog.rtrim(i_version::pg_catalog.text, ')'), ',', 2)::pg_catalog.int8;
$$ language sql stable;

create or replace function pgq._capture_message()
returns text as $$
-- Which message of the client this is.
    select extract(epoch from pg_catalog.statement_timestamp())::pg_catalog.text;
$$ language sql stable;

create or replace function pgq._capture_remember(i_function name, i_table oid, i_version tid, i_op text, i_numbers int8[])
returns void as $$
-- Keeps numbers until the event is written, or a next message of the client shows that it was.
--
-- Large statements change rows as they lie in the table, and draw numbers at equal distances, so both are kept as runs:
--      <KEY first offset + how many = first number * distance * from the first to the second number of one row>
-- the newest first.
--
-- Parameters:
--      i_numbers   - one or two
declare
    _setting constant pg_catalog.text := pgq._capture_order_setting(i_version);
    _key constant pg_catalog.text := pgq._capture_order_key(i_function, i_table, i_version, i_op);
    _offset constant pg_catalog.int8 := pgq._capture_order_offset(i_version);
    _message constant pg_catalog.text := pgq._capture_message();
    _second constant pg_catalog.int8 := coalesce(i_numbers[2] operator(pg_catalog.-) i_numbers[1], 0);
    _kept pg_catalog.text;
    _run pg_catalog.text;
    _r pg_catalog.int8[];
    _distance pg_catalog.int8;
    _old pg_catalog.text;
begin
    if (pg_catalog.current_setting('skytools.message', true) operator(pg_catalog.=) _message) is not true then
        -- Everybody can write there, and this runs as the owner of PgQ: no name is taken from it as it is.
        foreach _old in array coalesce(pg_catalog.string_to_array(pg_catalog.current_setting('skytools.filled', true), ' '), '{}') loop
            perform pg_catalog.set_config(pg_catalog.concat('skytools.order_', _old), '', true) where _old operator(pg_catalog.~) '^[0-9]{1,3}$';
        end loop;
        perform pg_catalog.set_config('skytools.message', _message, true), pg_catalog.set_config('skytools.filled', '', true);
    end if;
    _kept := pg_catalog.current_setting(_setting, true);
    if (_kept operator(pg_catalog.<>) '') is not true then
        perform pg_catalog.set_config('skytools.filled', pg_catalog.concat(pg_catalog.current_setting('skytools.filled', true), ' ', pg_catalog.split_part(_setting, '_', 2)), true);
    else
        _run := pg_catalog.split_part(pg_catalog.split_part(_kept, _key, 2), '>', 1);
        if _run operator(pg_catalog.<>) '' then
            _r := pg_catalog.string_to_array(pg_catalog.translate(_run, '+=*', ',,,'), ',');
            _distance := case when _r[4] operator(pg_catalog.=) 0 then i_numbers[1] operator(pg_catalog.-) _r[3] else _r[4] end;
            if _offset operator(pg_catalog.=) (_r[1] operator(pg_catalog.+) _r[2]) and _second operator(pg_catalog.=) _r[5]
               and i_numbers[1] operator(pg_catalog.=) (_r[3] operator(pg_catalog.+) (_r[2] operator(pg_catalog.*) _distance)) then
                perform pg_catalog.set_config(_setting, pg_catalog.replace(_kept, pg_catalog.concat(_key, _run, '>'),
                    pg_catalog.concat(_key, _r[1], '+', _r[2] operator(pg_catalog.+) 1, '=', _r[3], '*', _distance, '*', _second, '>')), true);
                return;
            end if;
        end if;
    end if;
    perform pg_catalog.set_config(_setting, pg_catalog.concat(_key, _offset, '+1=', i_numbers[1], '*0*', _second, '>', _kept), true);
end;
$$ language plpgsql;

create or replace function pgq._capture_numbers(i_function name, i_table oid, i_version tid, i_op text, i_sequence regclass)
returns int8[] as $$
-- The numbers that were kept for a change.
--
-- Parameters:
--      i_version   - the one that was inserted, or that was updated
--      i_op        - as it was kept
-- Returns:
--      null if there are none
declare
    _offset constant pg_catalog.int8 := pgq._capture_order_offset(i_version);
    _run pg_catalog.text;
    _r pg_catalog.int8[];
    _number pg_catalog.int8;
begin
    if (pg_catalog.current_setting('skytools.message', true) operator(pg_catalog.=) pgq._capture_message()) is not true then
        return null;
    end if;
    foreach _run in array (pg_catalog.string_to_array(pg_catalog.current_setting(pgq._capture_order_setting(i_version), true),
                                                      pgq._capture_order_key(i_function, i_table, i_version, i_op)))[2:] loop
        _r := pg_catalog.string_to_array(pg_catalog.translate(pg_catalog.split_part(_run, '>', 1), '+=*', ',,,'), ',');
        if _offset operator(pg_catalog.>=) _r[1] and _offset operator(pg_catalog.<) (_r[1] operator(pg_catalog.+) _r[2]) then
            _number := _r[3] operator(pg_catalog.+) ((_offset operator(pg_catalog.-) _r[1]) operator(pg_catalog.*) _r[4]);
            -- one that is still to be drawn must not get into the log
            return case when _number operator(pg_catalog.>) 0 and _r[5] operator(pg_catalog.>=) 0
                             and (_number operator(pg_catalog.+) _r[5]) operator(pg_catalog.<=) pg_catalog.pg_sequence_last_value(i_sequence)
                        then array[_number, _number operator(pg_catalog.+) _r[5]] end;
        end if;
    end loop;
    return null;
end;
$$ language plpgsql;

create or replace function pgq._capture_first(i_function name, i_table oid, i_version tid, i_sequence regclass)
returns boolean as $$
-- Draws a number for the insert of a row that is about to be changed, should its event still have to be written.
--
-- To be asked for rows that this transaction may have written.  Inside of nothing but the client's own statement, no insert is still to be written.
--
-- Returns:
--      true
declare
    _context pg_catalog.text;
begin
    get diagnostics _context = pg_context;
    -- this function and its caller
    if pg_catalog.split_part(_context, E'\n', 3) operator(pg_catalog.<>) '' then
        perform pgq._capture_remember(i_function, i_table, i_version, 'I', array[pg_catalog.nextval(i_sequence)]);
    end if;
    return true;
end;
$$ language plpgsql;

create or replace function pgq._capture_late_key(i_table oid, i_version tid)
returns text as $$
-- What is left to the AFTER trigger.
    select pg_catalog.concat(' U', i_version, '/', i_table, '/', pg_catalog.pg_relation_filenode(i_table), '/', pg_catalog.current_setting('skytools.truncated', true), '=');
$$ language sql stable;

create or replace function pgq._capture_leave_to_after(i_function name, i_table oid, i_version tid)
returns void as $$
-- Has the AFTER trigger write the event of a row that is about to be updated.
--
-- What is called before the row is updated (checks, generated columns, indexes) may update others, hence a list.
declare
    _setting constant pg_catalog.text := pg_catalog.concat('skytools.late', i_function);
begin
    perform pg_catalog.set_config(_setting, pg_catalog.concat(pg_catalog.current_setting(_setting, true), pgq._capture_late_key(i_table, i_version)), true);
end;
$$ language plpgsql;

create or replace function pgq._capture_number(i_function name, i_table oid, i_version tid, i_sequence regclass)
returns boolean as $$
-- The WHEN clause of the AFTER trigger: draws the number of an update that was left to it.
--
-- Whoever changes the table runs it, so that everybody may: it gives no more than numbers, of queues only.
--
-- Parameters:
--      i_version   - what was updated
-- Returns:
--      whether the trigger is to fire
-- Errors:
--      insufficient_privilege: a sequence of no queue
declare
    _setting constant text := concat('skytools.late', i_function);
    _late constant text := current_setting(_setting, true);
    _key constant text := pgq._capture_late_key(i_table, i_version);
begin
    if strpos(_late, _key) > 0 is not true then
        return false;
    elsif replace(i_sequence::text, '"', '') !~ '^event_[0-9]+_id_seq$' then
        raise exception 'sequence % is not that of a queue', i_sequence using errcode = 'insufficient_privilege';
    end if;
    perform set_config(_setting, replace(_late, _key, ''), true);
    -- two: an update may become a delete and an insert
    perform pgq._capture_remember(i_function, i_table, i_version, 'U', array[nextval(i_sequence), nextval(i_sequence)]);
    return true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
