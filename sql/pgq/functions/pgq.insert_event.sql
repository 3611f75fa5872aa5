create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- Writes an event into a queue, as part of the current transaction.
--
-- Code generated for the queue does the work.  It declines whenever anything is out of the ordinary, and
-- pgq.insert_event_raw decides: docs/design/insert-event.md.
--
-- Returns:
--      ev_id of the event
-- Errors:
--      those of pgq.insert_event_raw
-- Calls:
--      pgq._insert_tree_0, pgq.insert_event_raw
declare
    -- One expression: each costs something anew in every transaction.  The transaction has its id before the state of
    -- the queue is read, as in pgq.insert_event_raw.
    _id bigint := case when pg_catalog.txid_current() > 0
                        and pg_catalog.current_setting('transaction_isolation') = 'read committed'
                       then pgq._insert_tree_0($1, pg_catalog.now(), $2, $3, $4, $5, $6, $7) end;
begin
    if _id is null then
        _id := pgq.insert_event_raw($1, null, pg_catalog.now(), null, null, $2, $3, $4, $5, $6, $7);
    end if;
    return _id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint as $$
-- Writes an event with type and data.  See the form with seven arguments.  In SQL, since the planner puts that in place of this.
    select pgq.insert_event($1, $2, $3, null, null, null, null);
$$ language sql;
