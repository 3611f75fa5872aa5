-- ----------------------------------------------------------------------
-- londiste.drop_table_fkey(from_table, fkey): drop a foreign key and keep its
--   definition for restore_table_fkey().
--
-- Returns:  1 dropped, 0 when there is no such key
-- Writes:   londiste.pending_fkeys
-- ----------------------------------------------------------------------
create or replace function londiste.drop_table_fkey(i_from_table text, i_fkey_name text)
returns integer
as $$
declare
    l_table text = londiste.make_fqname(i_from_table);
    l_key londiste.pending_fkeys;
    l_kind text;
begin
    select f.* into l_key
      from londiste.find_table_fkeys(l_table) f
     where f.from_table = l_table
       and f.fkey_name = i_fkey_name;
    if not found then
        return 0;
    end if;

    insert into londiste.pending_fkeys (from_table, to_table, fkey_name, fkey_def)
    values (l_key.from_table, l_key.to_table, l_key.fkey_name, l_key.fkey_def)
    on conflict (from_table, fkey_name) do update
        set to_table = excluded.to_table,
            fkey_def = excluded.fkey_def;

    select c.relkind into l_kind
      from pg_catalog.pg_class c
     where c.oid = londiste.find_table_oid(l_table);
    execute format('alter table %s%s drop constraint %I',
                   case when l_kind = 'p' then '' else 'only ' end,
                   londiste.quote_fqname(l_table), i_fkey_name);
    return 1;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
