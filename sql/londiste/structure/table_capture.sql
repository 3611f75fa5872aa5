-- ----------------------------------------------------------------------
-- londiste.table_capture: how each local table was captured when somebody last
-- decided it.  Triggers alone do not tell: where one is gone, nothing on the table
-- says whether there should be one, and for which changes.
--
-- Written by _remember_capture(), read by _lost_capture() and _restore_capture().
-- No foreign key to table_info: a worker deletes there with the replica role,
-- which does not cascade.  A row that is left over harms nobody.
-- ----------------------------------------------------------------------
create table if not exists londiste.table_capture (
    queue_name      text        not null,
    table_name      text        not null,
    trg_args        text[]      not null,   -- of create_trigger(), which make the triggers again

    primary key (queue_name, table_name)
);

do $grants$
declare
    r text;
begin
    foreach r in array '{pgq_admin,londiste_reader,public}'::text[] loop
        if r = 'public' or exists (select 1 from pg_catalog.pg_roles where rolname = r) then
            execute format('grant %s on table londiste.table_capture to %s',
                           case r when 'pgq_admin' then 'select, insert, update, delete' else 'select' end, r);
        end if;
    end loop;
end
$grants$;
