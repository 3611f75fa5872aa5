create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint as $$
-- Writes an event with type and data.  See the form with seven arguments.
begin
    return pgq.insert_event($1, $2, $3, null, null, null, null);
end;
$$ language plpgsql;

create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- Writes an event into a queue, as part of the current transaction.
--
-- Returns:
--      ev_id of the event
-- Errors:
--      those of pgq.insert_event_raw
-- Calls:
--      pgq.insert_event_raw
begin
    return pgq.insert_event_raw($1, null, pg_catalog.now(), null, null, $2, $3, $4, $5, $6, $7);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
