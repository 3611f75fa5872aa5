-- ----------------------------------------------------------------------
-- londiste.drop_obsolete_partitions(parent, retention, period): drop what
--   list_obsolete_partitions() lists; returns the names of the tables dropped.
-- ----------------------------------------------------------------------
create or replace function londiste.drop_obsolete_partitions(
    in i_parent_table text,
    in i_retention_period interval,
    in i_partition_period text)
returns setof text
as $$
declare
    l_part text;
begin
    for l_part in
        select p from londiste.list_obsolete_partitions(
            i_parent_table, i_retention_period, i_partition_period) p
    loop
        execute 'drop table ' || l_part;
        return next l_part;
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
