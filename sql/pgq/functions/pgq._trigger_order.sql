-- The numbers of events that the generic triggers write: pgq._capture_order.sql, where the generated ones have theirs.
--
-- All of their events are written by AFTER triggers.  What pgq._capture_triggers() makes for updates and deletes has a WHEN clause that draws the
-- number as soon as the row has been changed.  A trigger made by hand has none: its events get the next number when it fires.

create or replace function pgq._trigger_number(i_queue text, i_which text, i_table oid, i_version tid, i_xmin xid)
returns boolean as $$
-- The WHEN clause: draws the number of a change that has just been made, and before it one for the insert of that row, should this still have to be written.
--
-- Whoever changes the table runs it, so that everybody may: it gives no more than numbers.  It names the queue, not its
-- sequence, so that the trigger can be put on a table where there is no such queue yet, and depends on nothing.
--
-- Parameters:
--      i_which     - pgq._trigger_which() of the trigger: several may write events of one change
--      i_version   - what was changed
--      i_xmin      - who wrote that; null when it is not known, as on partitioned tables, whose triggers PostgreSQL 15 and later asks for rows
--                    that move, too, without system columns
-- Returns:
--      true: the trigger fires
-- Errors:
--      serialization_failure: the queue is younger than the snapshot of this transaction
declare
    _q pg_catalog.record;
    _name pg_catalog.name;
    _context pg_catalog.text;
begin
    -- A row of a foreign table, or of the root of partitions while it moves, has no place.
    if pgq._capture_order_offset(i_version) operator(pg_catalog.=) 0 then
        return true;
    end if;
    select q.queue_id, q.queue_data_pfx operator(pg_catalog.||) '_state_seq' as state, q.queue_event_seq::pg_catalog.regclass as sequence into _q
      from pgq.queue q where q.queue_name operator(pg_catalog.=) i_queue;
    if found then
        -- all writers lock this sequence first, see pgq.drop_queue
        perform pg_catalog.pg_sequence_last_value(_q.state::pg_catalog.regclass);
        _name := pg_catalog.concat('_', _q.queue_id, '_', i_which);
        if coalesce(pg_catalog.age(i_xmin) operator(pg_catalog.<=) 0, true) then
            get diagnostics _context = pg_context;
            -- the client's own statement finds no row whose insert is still to be written; a function or trigger may
            if pg_catalog.strpos(_context, E'\n') operator(pg_catalog.>) 0 then
                perform pgq._capture_remember(_name, i_table, i_version, 'I', array[pg_catalog.nextval(_q.sequence)]);
            end if;
        end if;
        perform pgq._capture_remember(_name, i_table, i_version, 'C', array[pg_catalog.nextval(_q.sequence)]);
    elsif pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.!~) '^read ' then
        raise serialization_failure using
            message = pg_catalog.format('there is no queue %L, or it was created after the snapshot of this transaction was taken', i_queue), hint = 'Run the transaction again.';
    end if;
    return true;
end;
$$ language plpgsql security definer;   -- names are qualified: with another search_path, pgq._capture_remember() would be planned anew where generated triggers call it, too

create or replace function pgq._trigger_first(i_queue text, i_which text, i_table oid, i_version tid, i_xmin xid)
returns boolean as $$
-- The WHEN clause of a trigger that never fires, for updates where only inserts and deletes are captured: draws a number for the insert of the row, should this
-- still have to be written.  The delete that may follow finds another version.
--
-- Parameters:
--      i_which     - pgq._trigger_which() of the trigger
-- Returns:
--      false
declare
    _context pg_catalog.text;
    _q pg_catalog.record;
begin
    if pgq._capture_order_offset(i_version) operator(pg_catalog.>) 0 and coalesce(pg_catalog.age(i_xmin) operator(pg_catalog.<=) 0, true) then
        get diagnostics _context = pg_context;
        if pg_catalog.strpos(_context, E'\n') operator(pg_catalog.>) 0 then
            select q.queue_id, q.queue_data_pfx operator(pg_catalog.||) '_state_seq' as state, q.queue_event_seq::pg_catalog.regclass as sequence into _q
              from pgq.queue q where q.queue_name operator(pg_catalog.=) i_queue;
            if found then
                -- all writers lock this sequence first, see pgq.drop_queue
                perform pg_catalog.pg_sequence_last_value(_q.state::pg_catalog.regclass);
                perform pgq._capture_remember(pg_catalog.concat('_', _q.queue_id, '_', i_which)::pg_catalog.name, i_table, i_version, 'I',
                                              array[pg_catalog.nextval(_q.sequence)]);
            end if;
        end if;
    end if;
    return false;
end;
$$ language plpgsql security definer;

create or replace function pgq._trigger_which(i_function text, i_args text[])
returns text as $$
-- Tells apart generic triggers of one table, whatever they are called.
    select pg_catalog."left"(pg_catalog.md5(pg_catalog.concat_ws(' ', i_function, pg_catalog.array_to_string(i_args, ' '))), 8);
$$ language sql stable;

create or replace function pgq._trigger_event(
    i_queue text, i_which text, i_table oid, i_version tid, i_op text,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- Writes an event with the number that was drawn for it; without one, with the next.
--
-- Parameters:
--      i_which     - pgq._trigger_which()
--      i_version   - the one that was inserted, or that was changed
--      i_op        - INSERT, UPDATE, DELETE
-- Returns:
--      ev_id
-- Errors:
--      those of pgq.insert_event
declare
    _number int8 := (select (pgq._capture_numbers(concat('_', q.queue_id, '_', i_which)::name, i_table, i_version,
                                                  case i_op when 'INSERT' then 'I' else 'C' end, q.queue_event_seq::regclass, true))[1]
                       from pgq.queue q where q.queue_name = i_queue);
begin
    return pgq._insert_tree_0(i_queue, now(), $6, $7, $8, $9, $10, $11, _number);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._trigger_check_key(i_table oid, i_args text[], i_form text default 'generic')
returns void as $$
-- Parameters:
--      i_form      - generic, statement
-- Errors:
--      feature_not_supported: two rows of the table may have one key for a while, by which events cannot tell them
begin
    if pgq._capture_swappable(i_table, pgq._capture_key(i_table, i_args)) then
        raise exception 'the key of table % is deferrable: two rows may have it for a while, which % cannot log', i_table::regclass,
                case i_form when 'statement' then 'capture by statement' else 'the generic trigger' end
            using errcode = 'feature_not_supported',
                  hint = case i_form when 'statement' then 'Make the constraint NOT DEFERRABLE, or use form=row.'
                         else 'Make the constraint NOT DEFERRABLE, or leave away what needs the generic trigger: expressions, form=generic.' end;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
