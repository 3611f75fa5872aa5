create or replace function pgq.refresh_capture(i_queue_name text default null, i_table_name text default null)
returns integer as $$
-- Writes the generated code of captured tables anew: after ALTER TABLE, after a restore, after an upgrade,
-- and when texts have become others: pgq._capture_sample().
--
-- Parameters:
--      null for all
--
-- Returns:
--      number of tables
-- Errors:
--      those of pgq._capture_code
declare
    _c pgq.capture%rowtype;
    _count int4 := 0;
begin
    -- a dump without data has none
    insert into pgq.capture_secret (secret) select replace(gen_random_uuid()::text, '-', '') where not exists (select 1 from pgq.capture_secret);
    for _c in
        select c.*
          from pgq.capture c
         where (i_queue_name is null or c.queue_name = i_queue_name)
           and (i_table_name is null
                or format('%I.%I', c.rel_schema, c.rel_name) = pgq.quote_fqname(i_table_name)
                or exists (select 1 from pg_trigger t
                            where t.tgrelid = to_regclass(pgq.quote_fqname(i_table_name))
                              and t.tgfoid = to_regprocedure(format('pgq.%I()', c.function_name))))
           and exists (select 1 from pgq.queue q where q.queue_name = c.queue_name)
         order by c.capture_id
    loop
        perform pg_advisory_xact_lock('pgq.capture'::regclass::oid::int4, hashtext(_c.function_name::text));
        if pgq._write_capture(_c, true) is not null then
            _count := _count + 1;
        end if;
    end loop;
    return _count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;
