-- ----------------------------------------------------------------------
-- londiste.find_rel_oid(name, kind): oid of the relation schema.name with that
--   relkind; NULL when there is none.  The name is not quoted; without a dot the
--   schema is public, whatever the search_path.
-- ----------------------------------------------------------------------
create or replace function londiste.find_rel_oid(i_fqname text, i_kind text)
returns oid
as $$
declare
    l_oid oid;
begin
    select c.oid into l_oid
      from londiste.split_fqname(i_fqname) f
      join pg_catalog.pg_namespace n on n.nspname = f.schema_part
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = f.name_part
     where c.relkind::text = i_kind;
    return l_oid;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
