create or replace function pgq.get_batch_cursor(
    in i_batch_id bigint, in i_cursor_name text, in i_quick_limit int4, in i_extra_where text,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry int4,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- Opens a cursor over the events of a batch and returns the first of them.
-- The caller goes on with FETCH and closes it; it lives no longer than the transaction.
--
-- Parameters:
--      i_quick_limit   - how many events to return at once, 0 for none
--      i_extra_where   - SQL condition over the result columns, or null.  Used as it is: trusted input only
--
-- Returns:
--      events; nothing, and no cursor, when one of the first three arguments is null
-- Errors:
--      batch not found; cursor exists
--
-- No search_path of its own: i_extra_where means the names that its caller sees.
declare
    _sql text;
begin
    if i_batch_id is null or i_cursor_name is null or i_quick_limit is null then
        return;
    end if;

    _sql := pgq.batch_event_sql(i_batch_id);
    if i_extra_where is not null then
        _sql := 'select * from (' || pg_catalog.regexp_replace(_sql, ' order by 1$', '')
             || ') evs where ' || i_extra_where || ' order by 1';
    end if;
    execute 'declare ' || pg_catalog.quote_ident(i_cursor_name) || ' no scroll cursor for ' || _sql;
    if i_quick_limit > 0 then
        return query execute 'fetch ' || i_quick_limit::text || ' from ' || pg_catalog.quote_ident(i_cursor_name);
    end if;
end;
$$ language plpgsql;

create or replace function pgq.get_batch_cursor(
    in i_batch_id bigint, in i_cursor_name text, in i_quick_limit int4,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry int4,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- Opens a cursor over all events of a batch.  See the form with four arguments.
begin
    return query select * from pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, null);
end;
$$ language plpgsql strict set search_path = pg_catalog, pgq, pg_temp;
