-- ----------------------------------------------------------------------
-- londiste.is_obsolete_partition(partition, retention, period): whether a partition
--   named `..._YYYY[_MM[_DD[_HH]]]` lies wholly before now - retention; NULL when
--   the name does not end as partitions of that period do.
-- ----------------------------------------------------------------------
create or replace function londiste.is_obsolete_partition(
    in i_partition_table text,
    in i_retention_period interval,
    in i_partition_period text)
returns boolean
as $$
declare
    l_format record;
    l_suffix text;
begin
    l_format := londiste._partition_format(i_partition_period);
    l_suffix := substring(i_partition_table from l_format.pattern);
    if l_suffix is null then
        return null;
    end if;
    return coalesce(l_suffix < to_char(now() - i_retention_period, l_format.template), false);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
