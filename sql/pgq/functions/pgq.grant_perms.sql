create or replace function pgq.grant_perms(x_queue_name text)
returns integer as $$
-- Makes event tables and sequences of a queue readable and writable as pgq.event_template is.
--
-- Returns:
--      1
-- Errors:
--      Queue not found
-- Objects granted:
--      pgq.event_N*, its sequences
declare
    _q pgq.queue%rowtype;
    _seq text;
    _parent text;
begin
    select * into _q from pgq.queue where queue_name = x_queue_name;
    if not found then
        raise exception 'Queue not found';
    end if;

    foreach _seq in array array[_q.queue_tick_seq, _q.queue_event_seq, _q.queue_data_pfx || '_state_seq'] loop
        execute pg_catalog.format('grant select on sequence %s to public', pgq.quote_fqname(_seq));
    end loop;
    if pg_catalog.to_regrole('pgq_admin') is not null then
        execute pg_catalog.format('grant usage on sequence %s to pgq_admin', pgq.quote_fqname(_q.queue_event_seq));
    end if;

    _parent := pg_catalog.split_part(_q.queue_data_pfx, '.', 2);
    perform pgq._grant_perms_from('pgq', 'event_template', 'pgq', _parent);
    for i in 0 .. _q.queue_ntables - 1 loop
        perform pgq._grant_perms_from('pgq', 'event_template', 'pgq', _parent || '_' || i::text);
    end loop;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
