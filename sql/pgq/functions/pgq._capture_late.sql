-- Changes that the BEFORE trigger leaves to the AFTER trigger: those that may take something from other rows, or are not complete yet, and all of
-- transactions whose snapshot may not show what the table has become.  Their numbers: pgq._capture_order.sql.

create or replace function pgq._capture_late_key(i_table oid, i_version tid)
returns text as $$
-- What is left to the AFTER trigger.
    select pg_catalog.concat(' U', i_version, '/', i_table, '/', pg_catalog.pg_relation_filenode(i_table), '=');
$$ language sql stable;

create or replace function pgq._capture_leave_to_after(i_function name, i_table oid, i_version tid)
returns void as $$
-- Has the AFTER trigger write the event of a row that is about to be changed.
--
-- What is called before the row is changed (checks, generated columns, indexes) may change others, hence a list.  The WHEN clause
-- asks for it where the setting that everybody knows is not empty.
declare
    _secret pg_catalog.text;
    _setting pg_catalog.text;
    _done pg_catalog.text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, pg_catalog.concat('late', i_function));
    _done := pg_catalog.set_config(_setting, pg_catalog.concat(pg_catalog.current_setting(_setting, true), pgq._capture_late_key(i_table, i_version)), true);
    _done := pg_catalog.set_config(pg_catalog.concat('skytools.late', i_function), 'yes', true);
end;
$$ language plpgsql;

create or replace function pgq._capture_take_late(i_function name, i_table oid, i_version tid)
returns boolean as $$
-- Whether a change was left to the AFTER trigger; it is not any more.
declare
    _secret pg_catalog.text;
    _setting pg_catalog.text;
    _late pg_catalog.text;
    _key constant pg_catalog.text := pgq._capture_late_key(i_table, i_version);
    _done pg_catalog.text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, pg_catalog.concat('late', i_function));
    _late := pg_catalog.current_setting(_setting, true);
    if (pg_catalog.strpos(_late, _key) operator(pg_catalog.>) 0) is not true then
        return false;
    end if;
    _late := pg_catalog.replace(_late, _key, '');
    _done := pg_catalog.set_config(_setting, _late, true);
    _done := pg_catalog.set_config(pg_catalog.concat('skytools.late', i_function), case when _late operator(pg_catalog.=) '' then '' else 'yes' end, true);
    return true;
end;
$$ language plpgsql;

create or replace function pgq._capture_number(i_function text, i_table oid, i_version tid, i_sequence regclass)
returns boolean as $$
-- The WHEN clause of the AFTER trigger: draws the number of a change that was left to it.
--
-- Whoever changes the table runs it, so that everybody may: it gives no more than numbers, of queues only.
--
-- Parameters:
--      i_version   - what was changed
-- Returns:
--      whether the trigger is to fire
-- Errors:
--      insufficient_privilege: a sequence of no queue
begin
    if not pgq._capture_take_late(i_function, i_table, i_version) then
        return false;
    elsif (pg_catalog.to_regclass('pgq.' operator(pg_catalog.||) pg_catalog.substring(pg_catalog.replace(i_sequence::pg_catalog.text, '"', ''), 'event_[0-9]+_id_seq$')) operator(pg_catalog.=) i_sequence) is not true then
        raise exception 'sequence % is not that of a queue', i_sequence using errcode = 'insufficient_privilege';
    end if;
    -- two: an update may become a delete and an insert
    perform pgq._capture_remember(i_function, i_table, i_version, 'C', array[pg_catalog.nextval(i_sequence), pg_catalog.nextval(i_sequence)]);
    return true;
end;
$$ language plpgsql security definer;   -- with another search_path, every expression of what both this and BEFORE triggers call would be planned anew each time

create or replace function pgq._capture_planned()
returns text as $$
-- Whether code was planned where catalogs are read through an old snapshot, which may not show what the table has become since: another trigger, another
-- unique index.  Such a transaction leaves its changes to the AFTER triggers, which need not know: pgq._capture_looked().
--
-- Called immutable for the reason that pgq._capture_intact is.
--
-- Returns:
--      the transaction; null where none of this can be
begin
    return case when pg_catalog.current_setting('transaction_isolation') !~ '^read ' then pg_catalog.pg_current_xact_id()::pg_catalog.text end;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_looked(i_function name, i_table regclass, i_planned text, i_columns text[], i_present text[], i_uniques text[])
returns int4 as $$
-- Whether a later transaction than the one that code was planned in, and not with the same snapshot, has found the table to be what the code takes it for.  Changes since then
-- would have made the plan anew.
--
-- Parameters:
--      i_planned   - what pgq._capture_planned() returned
--      others      - those of pgq._capture_intact()
-- Returns:
--      0 it has;  -2 it is altered;  -5 nobody knows
declare
    _secret text;
    _setting text;
    _done text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, concat('looked', i_function));
    if current_setting(_setting, true) = i_planned then
        return 0;
    elsif not pg_visible_in_snapshot(i_planned::xid8, pg_current_snapshot()) then
        return -5;
    elsif pgq._capture_uniqueness(i_table) <> i_uniques or not pgq._capture_same_columns(i_table, i_columns, i_present) then
        return -2;
    elsif pgq._capture_follower(i_table, i_function) is not null then
        return -5;
    end if;
    _done := set_config(_setting, i_planned, false);
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_leaves_delete(i_table regclass, i_function name)
returns boolean as $$
-- Whether a delete is left to the AFTER trigger: another trigger may keep it back, which an old snapshot does not show.
--
-- Returns:
--      false for a table whose triggers are those of an older installation: its AFTER trigger does not fire for deletes
-- Errors:
--      serialization_failure: the snapshot does not show that trigger
declare
    _types int2;
begin
    if current_setting('transaction_isolation') ~ '^read ' then
        return false;
    end if;
    select bit_or(t.tgtype) into _types
      from pg_trigger t join pg_proc f on f.oid = t.tgfoid and f.proname = i_function and f.pronamespace = 'pgq'::regnamespace
     where t.tgrelid = i_table and t.tgtype & 3 = 1 and t.tgqual is not null and t.tgenabled <> 'D';
    if _types is null and exists (select 1 from pgq.capture c where c.function_name = i_function and c.operations ~ 'U') then
        raise exception 'capture was put on table % after the snapshot of this transaction was taken', i_table
            using errcode = 'serialization_failure', hint = 'Run the transaction again.';
    end if;
    return coalesce(_types & 8 <> 0, false);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
