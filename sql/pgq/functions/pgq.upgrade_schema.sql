create or replace function pgq.upgrade_schema()
returns int4 as $$
-- Brings tables of an older installation to the present structure.
--
-- Returns:
--      0
-- Tables altered:
--      pgq.subscription, pgq.queue
begin
    if exists (select 1 from pg_catalog.pg_attribute
                where attrelid = 'pgq.subscription'::pg_catalog.regclass
                  and attname = 'sub_last_tick' and attnotnull) then
        alter table pgq.subscription alter column sub_last_tick drop not null;
    end if;

    if not exists (select 1 from pg_catalog.pg_attribute
                    where attrelid = 'pgq.queue'::pg_catalog.regclass
                      and attname = 'queue_extra_maint') then
        alter table pgq.queue add column queue_extra_maint text[];
    end if;

    return 0;
end;
$$ language plpgsql;

do $$
begin
    perform pgq.upgrade_schema();
end;
$$;
