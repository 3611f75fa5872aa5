-- ----------------------------------------------------------------------
-- londiste.find_table_fkeys(table): foreign keys of the table and to the table, with
--   the statement that creates each.
--
--   The statement does not depend on search_path.  Of a key on or to a
--   partitioned table only that itself is listed: what partitions have of it
--   cannot be dropped alone.
-- ----------------------------------------------------------------------
create or replace function londiste.find_table_fkeys(i_table_name text)
returns setof londiste.pending_fkeys
as $$
begin
    return query
        select fn.nspname || '.' || f.relname,
               tn.nspname || '.' || t.relname,
               k.conname::text,
               format('alter table %s%I.%I add constraint %I %s',
                      case when f.relkind = 'p' then '' else 'only ' end,
                      fn.nspname, f.relname, k.conname,
                      pg_catalog.pg_get_constraintdef(k.oid))
          from pg_catalog.pg_constraint k
          join pg_catalog.pg_class f on f.oid = k.conrelid
          join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
          join pg_catalog.pg_class t on t.oid = k.confrelid
          join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
         where k.contype = 'f'
           and k.conparentid = 0
           and londiste.find_table_oid(i_table_name) in (k.conrelid, k.confrelid)
         order by 1, 3;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
