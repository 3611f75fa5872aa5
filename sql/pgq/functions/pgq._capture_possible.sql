create or replace function pgq._capture_possible(i_table oid, i_args text[])
returns boolean as $$
-- Whether capture with these trigger arguments can be generated: a plain table
-- without magic columns, nothing that is evaluated, a queue.
declare
    _o record := pgq._trigger_options(i_args);
begin
    return not _o.skip and not _o.deny
       and _o.fields <@ '{ev_extra1}'::text[]
       and (_o.fields = '{}' or pgq._capture_constant(i_args[2:], 'ev_extra1') is not null)
       and exists (select 1 from pgq.queue q where q.queue_name = i_args[1])
       and exists (select 1 from pg_class c where c.oid = i_table and c.relkind = 'r')
       and not exists (select 1 from pg_attribute a
                        where a.attrelid = i_table and a.attnum > 0 and not a.attisdropped and starts_with(a.attname, '_pgq_ev_'));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_check_statement(i_args text[])
returns void as $$
-- Refuses trigger arguments that capture by statement cannot have.
declare
    _o record := pgq._trigger_options(i_args);
begin
    if _o.backup or coalesce(_o.ignored, '') <> '' then
        raise exception 'form=statement is not possible with ignore= and backup' using errcode = 'feature_not_supported', hint = 'Use form=row.';
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
