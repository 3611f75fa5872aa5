create or replace function pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
returns integer as $$
-- Sets one parameter of a queue.
--
-- Parameters:
--      x_param_name  - ticker_max_count, ticker_max_lag, ticker_idle_period, ticker_paused,
--                      rotation_period or external_ticker
--      x_param_value - new value as text
--
-- Returns:
--      1
-- Errors:
--      Invalid NULL value; No such event queue; cannot change parameter; what the cast says
-- Tables directly manipulated:
--      update - pgq.queue
begin
    if x_queue_name is null or x_param_name is null then
        raise exception 'Invalid NULL value';
    end if;
    if not exists (select 1 from pgq.queue where queue_name = x_queue_name) then
        raise exception 'No such event queue';
    end if;
    if x_param_name not in ('ticker_max_count', 'ticker_max_lag', 'ticker_idle_period', 'ticker_paused',
                            'rotation_period', 'external_ticker') then
        -- scripts match on this text, the s included
        raise exception 'cannot change parameter "%s"', x_param_name;
    end if;
    execute 'update pgq.queue set ' || pg_catalog.quote_ident('queue_' || x_param_name)
         || ' = ' || pg_catalog.quote_literal(x_param_value)
         || ' where queue_name = ' || pg_catalog.quote_literal(x_queue_name);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
