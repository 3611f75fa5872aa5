-- ----------------------------------------------------------------------
-- londiste.list_obsolete_partitions(parent, retention, period): partitions of the
--   parent - tables of its schema named after it - that lie before
--   now - retention.  Names are quoted, ready for use.
-- ----------------------------------------------------------------------
create or replace function londiste.list_obsolete_partitions(
    in i_parent_table text,
    in i_retention_period interval,
    in i_partition_period text)
returns setof text
as $$
declare
    l_format record;
begin
    if i_parent_table is null then
        raise exception 'need parent table';
    end if;
    l_format := londiste._partition_format(i_partition_period);

    return query
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
          from londiste.split_fqname(i_parent_table) f
          join pg_catalog.pg_namespace n on n.nspname = f.schema_part
          join pg_catalog.pg_class c on c.relnamespace = n.oid
         where c.relkind = 'r'
           and left(c.relname, length(f.name_part)) = f.name_part
           and substr(c.relname, length(f.name_part) + 1) ~ ('^' || l_format.pattern)
           and londiste.is_obsolete_partition(c.relname::text, i_retention_period, i_partition_period)
         order by n.nspname, c.relname;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
