create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- Writes an event into a queue, as part of the current transaction.
--
-- Code generated for the queue does the work.  Where anything is out of the ordinary it has pgq.insert_event_raw
-- decide: docs/design/insert-event.md.
--
-- Returns:
--      ev_id of the event
-- Errors:
--      those of pgq.insert_event_raw; serialization_failure (pgq._assert_still_open)
-- Calls:
--      pgq._insert_tree_0
declare
    -- NOT NULL: generated code that neither writes the event nor raises an error must not pass for one that does
    _id bigint not null := pgq._insert_tree_0($1, pg_catalog.now(), $2, $3, $4, $5, $6, $7, null);
begin
    return _id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint as $$
-- Writes an event with type and data.  See the form with seven arguments.  In SQL, since the planner puts that in place of this.
    select pgq.insert_event($1, $2, $3, null, null, null, null);
$$ language sql;
