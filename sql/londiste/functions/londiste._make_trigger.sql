-- ----------------------------------------------------------------------
-- londiste._make_trigger(rel, name, type, func, args)
--
--   Make sure that the table has exactly this trigger, touching it only when it
--   differs: no lock is taken for nothing, and replacing takes no lock that
--   stops readers.
--
-- Arguments:
--   i_type    pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update,
--             32 truncate
--   i_func    function of schema pgq
--   i_args    trigger arguments
-- Returns:  true when the trigger was created or replaced
-- ----------------------------------------------------------------------
create or replace function londiste._make_trigger(
    i_rel regclass, i_name text, i_type int2, i_func text, i_args text[])
returns boolean
as $$
declare
    l_sql text;
begin
    -- An operator's ENABLE ALWAYS is kept, a disabled trigger is not.  A snapshot may show the past.
    perform 1
       from pg_catalog.pg_trigger t
       join pg_catalog.pg_proc p on p.oid = t.tgfoid
       join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where t.tgrelid = i_rel
        and t.tgname = i_name
        and t.tgtype = i_type
        and n.nspname = 'pgq' and p.proname = i_func
        and t.tgargs = londiste._trigger_args(i_args)
        and t.tgenabled in ('O', 'A')
        and t.tgqual is null
        and t.tgattr::text = ''
        and t.tgconstraint = 0
        and current_setting('transaction_isolation') = 'read committed';
    if found then
        return false;
    end if;

    select format('create or replace trigger %I %s %s on %s.%I for each %s execute function pgq.%I(%s)',
                  i_name,
                  case when i_type & 2 <> 0 then 'before' else 'after' end,
                  concat_ws(' or ',
                            case when i_type & 4 <> 0 then 'insert' end,
                            case when i_type & 16 <> 0 then 'update' end,
                            case when i_type & 8 <> 0 then 'delete' end,
                            case when i_type & 32 <> 0 then 'truncate' end),
                  c.relnamespace::regnamespace, c.relname,
                  case when i_type & 1 <> 0 then 'row' else 'statement' end,
                  i_func,
                  (select string_agg(quote_literal(a.arg), ', ' order by a.nr)
                     from unnest(i_args) with ordinality a (arg, nr)))
      into l_sql
      from pg_catalog.pg_class c
     where c.oid = i_rel;
    execute l_sql;
    return true;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
