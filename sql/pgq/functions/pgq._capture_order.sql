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

create or replace function pgq._capture_order_setting(i_function name, i_version tid)
returns text as $$
-- Name of the setting that keeps the numbers for versions of rows in some blocks of a table: a single one would grow too long.
    select pg_catalog.concat('skytools.order', i_function, '_',
                             pg_catalog.split_part(pg_catalog.ltrim(i_version::pg_catalog.text, '('), ',', 1)::pg_catalog.int8 operator(pg_catalog.%) 1024);
$$ language sql stable;    -- as concat() is: PostgreSQL does not inline it otherwise

create or replace function pgq._capture_order_key(i_table oid, i_version tid, i_op text)
returns text as $$
-- What a number is found by.  A table that was truncated or written anew has other versions in the same places.
    select pg_catalog.concat(' ', i_op, i_version, '/', i_table, '/', pg_catalog.pg_relation_filenode(i_table), '/', pg_catalog.current_setting('skytools.truncated', true), '=');
$$ language sql stable;

create or replace function pgq._capture_message()
returns text as $$
-- Which message of the client this is.
    select extract(epoch from pg_catalog.statement_timestamp())::pg_catalog.text;
$$ language sql stable;

create or replace function pgq._capture_remember(i_function name, i_table oid, i_version tid, i_op text, i_numbers text)
returns void as $$
-- Keeps numbers until the event is written, or a next message of the client shows that it was.
declare
    _now constant pg_catalog.text := pg_catalog.concat('skytools.order', i_function);
    _filled constant pg_catalog.text := pg_catalog.concat('skytools.filled', i_function);
    _setting constant pg_catalog.text := pgq._capture_order_setting(i_function, i_version);
    _message constant pg_catalog.text := pgq._capture_message();
    _kept pg_catalog.text;
    _old pg_catalog.text;
begin
    if (pg_catalog.current_setting(_now, true) operator(pg_catalog.=) _message) is not true then
        foreach _old in array coalesce(pg_catalog.string_to_array(pg_catalog.current_setting(_filled, true), ' '), '{}') loop
            perform pg_catalog.set_config(_old, '', true) where _old operator(pg_catalog.<>) '';
        end loop;
        perform pg_catalog.set_config(_now, _message, true), pg_catalog.set_config(_filled, '', true);
    end if;
    _kept := pg_catalog.current_setting(_setting, true);
    if (_kept operator(pg_catalog.<>) '') is not true then
        perform pg_catalog.set_config(_filled, pg_catalog.concat(pg_catalog.current_setting(_filled, true), ' ', _setting), true);
    end if;
    perform pg_catalog.set_config(_setting, pg_catalog.concat(pgq._capture_order_key(i_table, i_version, i_op), i_numbers, _kept), true);
end;
$$ language plpgsql;

create or replace function pgq._capture_numbers(i_function name, i_table oid, i_version tid, i_op text, i_sequence regclass)
returns int8[] as $$
-- The numbers that were kept for a change.
--
-- Parameters:
--      i_version   - the one that was inserted, or that was updated
--      i_op        - I, U
-- Returns:
--      null if there are none
declare
    _numbers pg_catalog.int8[];
begin
    if (pg_catalog.current_setting(pg_catalog.concat('skytools.order', i_function), true) operator(pg_catalog.=) pgq._capture_message()) is not true then
        return null;
    end if;
    _numbers := pg_catalog.string_to_array(
        pg_catalog.split_part(pg_catalog.split_part(pg_catalog.current_setting(pgq._capture_order_setting(i_function, i_version), true),
                                                    pgq._capture_order_key(i_table, i_version, i_op), 2), ' ', 1), ',');
    -- one that is still to be drawn must not get into the log
    return case when pg_catalog.pg_sequence_last_value(i_sequence) operator(pg_catalog.>=) all (_numbers)
                     and pg_catalog.cardinality(_numbers) operator(pg_catalog.>) 0 then _numbers end;
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
        perform pgq._capture_remember(i_function, i_table, i_version, 'I', pg_catalog.nextval(i_sequence)::pg_catalog.text);
    end if;
    return true;
end;
$$ language plpgsql;

create or replace function pgq._capture_leave_to_after(i_function name, i_table oid, i_version tid)
returns void as $$
-- Has the AFTER trigger write the event of a row that is about to be updated.
--
-- What is called before the row is updated (checks, generated columns, indexes) may update others, hence a list.
declare
    _setting constant pg_catalog.text := pg_catalog.concat('skytools.late', i_function);
begin
    perform pg_catalog.set_config(_setting, pg_catalog.concat(pg_catalog.current_setting(_setting, true), pgq._capture_order_key(i_table, i_version, 'U')), true);
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
    _key constant text := pgq._capture_order_key(i_table, i_version, 'U');
begin
    if strpos(_late, _key) > 0 is not true then
        return false;
    elsif replace(i_sequence::text, '"', '') !~ '^event_[0-9]+_id_seq$' then
        raise exception 'sequence % is not that of a queue', i_sequence using errcode = 'insufficient_privilege';
    end if;
    perform set_config(_setting, replace(_late, _key, ''), true);
    -- two: an update may become a delete and an insert
    perform pgq._capture_remember(i_function, i_table, i_version, 'U', concat(nextval(i_sequence), ',', nextval(i_sequence)));
    return true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
