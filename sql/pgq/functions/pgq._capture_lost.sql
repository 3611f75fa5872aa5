create or replace function pgq._capture_lost(i_function name, i_reason text)
returns void as $$
-- Notes that a change was not captured, for tables with capture_failure=mark: the write succeeds, the copies of the table are out
-- of date.  Kept until pgq.capture_table or "londiste refresh-trigger" puts capture on the table again.
--
-- Tables directly manipulated:
--      update - pgq.capture (once: the first change decides)
begin
    update pgq.capture c
       set lost_since = clock_timestamp(), lost_reason = i_reason
     where c.function_name = i_function and c.lost_since is null;
    if found then
        raise warning 'a change of table % was not captured: %',
            (select c.rel_schema || '.' || c.rel_name from pgq.capture c where c.function_name = i_function), i_reason
            using hint = 'Mend the cause, then run refresh-trigger here and resync on all subscribers.';
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_may_be_lost(i_sqlstate text, i_message text)
returns boolean as $$
-- Whether an error means that a change cannot be captured, rather than that the transaction must not or cannot go on: conflicts (40),
-- no resources (53), interventions and failures of the server (57, 58, XX), what others have forbidden (P0, PQ), a closed queue.
    select substr(i_sqlstate, 1, 2) not in ('40', '53', '57', '58', 'XX', 'P0', 'PQ')
       and i_message !~ '^Insert into queue disallowed';
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_too_large(i_table oid, i_error text)
returns void as $$
-- Names the table whose row cannot be logged.
begin
    raise exception 'changes of table % cannot be logged: a row larger than 1 GB', i_table::regclass
        using errcode = 'program_limit_exceeded', detail = i_error;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
