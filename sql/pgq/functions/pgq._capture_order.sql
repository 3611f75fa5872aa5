-- The numbers of events whose place in the order is not that of their writing: docs/how-capture-works.md.
--
-- A batch is read by ev_id, so the order of events is that in which their numbers were drawn.  Deletes, and updates that take nothing from
-- other rows, are written by a BEFORE trigger, which draws the number when the row is changed.  Two are written later than that:
--      an insert, by an AFTER trigger.  If its row is changed before that fires, that change draws a number for the insert first (first).
--      an update that the BEFORE trigger left to the AFTER trigger.  The latter's WHEN clause is evaluated as soon as the row
--      has been changed, and draws the number (late).
-- The number is kept until then in settings of the transaction, which a savepoint that is rolled back takes with it.

create or replace function pgq._capture_order_setting(i_function name, i_version tid)
returns text as $$
-- Name of the setting that keeps the numbers for some of the versions of rows of a table: a single one would grow too long.
    select pg_catalog.concat('skytools.order', i_function, '_', pg_catalog.split_part(pg_catalog.ltrim(i_version::pg_catalog.text, '('), ',', 1)::pg_catalog.int8 operator(pg_catalog.%) 64);
$$ language sql immutable;

create or replace function pgq._capture_order_key(i_table oid, i_version tid, i_op text)
returns text as $$
-- What a number is found by.  A table that was truncated or written anew has other versions in the same places.
    select pg_catalog.concat(' ', i_op, i_version, '/', pg_catalog.pg_relation_filenode(i_table), '=');
$$ language sql stable;

create or replace function pgq._capture_remember(i_function name, i_table oid, i_version tid, i_op text, i_numbers text)
returns void as $$
-- Keeps numbers until the event is written, or a next message of the client shows that it was.
declare
    _setting constant text := pgq._capture_order_setting(i_function, i_version);
    _message constant text := extract(epoch from statement_timestamp())::text;
    _kept text := current_setting(_setting, true);
begin
    -- the newest first: an update that a later BEFORE trigger prevented has left its own
    perform set_config(_setting, concat(_message, pgq._capture_order_key(i_table, i_version, i_op), i_numbers,
                                        case when starts_with(_kept, _message || ' ') then substr(_kept, length(_message) + 1) end), true);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_numbers(i_function name, i_table oid, i_version tid, i_op text, i_sequence regclass)
returns int8[] as $$
-- The numbers that were kept for a change.
--
-- Parameters:
--      i_version   - the one that was inserted, or that was updated or deleted
--      i_op        - I, U, D
-- Returns:
--      null if there are none
declare
    _key constant text := pgq._capture_order_key(i_table, i_version, i_op);
    _kept constant text := current_setting(pgq._capture_order_setting(i_function, i_version), true);
    _at constant int4 := strpos(_kept, _key);
    _numbers int8[];
begin
    if _at > 0 then
        _numbers := string_to_array(split_part(substr(_kept, _at + length(_key)), ' ', 1), ',')::int8[];
    end if;
    -- anybody can write into a setting; a number that is still to be drawn must not get into the log
    return case when pg_sequence_last_value(i_sequence) >= all (_numbers) then _numbers end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_first(i_function name, i_table oid, i_version tid, i_sequence regclass)
returns boolean as $$
-- Draws a number for the insert of a row that is about to be changed, should its event still have to be written.
--
-- To be asked for rows that this transaction may have written.
--
-- Returns:
--      true
begin
    perform pgq._capture_remember(i_function, i_table, i_version, 'I', nextval(i_sequence)::text);
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_leave_to_after(i_function name, i_table oid, i_version tid, i_op text, i_sequence regclass)
returns void as $$
-- Has the AFTER trigger write the event of a row that is about to be changed.
begin
    perform set_config('skytools.late', concat_ws(' ', i_function, i_table, i_version, "left"(i_op, 1), i_sequence::oid), true);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_number(i_function name, i_table oid, i_version tid)
returns boolean as $$
-- The WHEN clause of the AFTER trigger: draws the number of a change that was left to it.
--
-- Whoever changes the table runs it, so that everybody may: it gives no more than numbers, of queues only.
--
-- Parameters:
--      i_version   - what was updated or deleted
-- Returns:
--      whether the trigger is to fire
-- Errors:
--      insufficient_privilege: the setting was not made by capture
declare
    _late constant text[] := string_to_array(current_setting('skytools.late', true), ' ');
    _sequence regclass;
begin
    if _late[1:3] <> array[i_function::text, i_table::text, i_version::text] then
        return false;
    end if;
    _sequence := _late[5]::oid::regclass;
    if _sequence::text !~ '^event_[0-9]+_id_seq$' then
        raise exception 'setting skytools.late of somebody else' using errcode = 'insufficient_privilege';
    end if;
    perform set_config('skytools.late', '', true);
    -- two: an update may become a delete and an insert
    perform pgq._capture_remember(i_function, i_table, i_version, _late[4], concat(nextval(_sequence), ',', nextval(_sequence)));
    return true;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp set quote_all_identifiers = off;
