create or replace function pgq._grant_perms_from(src_schema text, src_table text, dst_schema text, dst_table text)
returns integer as $$
-- Gives one table the grants of another.
--
-- Returns:
--      1
declare
    _grant record;
begin
    for _grant in
        select p.privilege_type, p.grantee, p.is_grantable
          from information_schema.table_privileges p
         where p.table_schema = src_schema
           and p.table_name = src_table
    loop
        execute pg_catalog.format('grant %s on %I.%I to %s%s',
            _grant.privilege_type, dst_schema, dst_table,
            case when _grant.grantee = 'PUBLIC' then 'public' else pg_catalog.quote_ident(_grant.grantee) end,
            case when _grant.is_grantable = 'YES' then ' with grant option' else '' end);
    end loop;
    return 1;
end;
$$ language plpgsql strict;
