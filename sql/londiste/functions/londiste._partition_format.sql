-- ----------------------------------------------------------------------
-- londiste._partition_format(period): how the name of a partition of that period
--   ends: template for to_char(), and a pattern for the text behind the last
--   letter of the parent's name.
-- ----------------------------------------------------------------------
create or replace function londiste._partition_format(
    in i_partition_period text,
    out template text,
    out pattern text)
returns record
as $$
begin
    case
    when i_partition_period in ('year', 'yearly') then
        template := 'YYYY';
    when i_partition_period in ('month', 'monthly') then
        template := 'YYYY_MM';
    when i_partition_period in ('day', 'daily') then
        template := 'YYYY_MM_DD';
    when i_partition_period in ('hour', 'hourly') then
        template := 'YYYY_MM_DD_HH24';
    else
        raise exception 'not supported i_partition_period: %', i_partition_period;
    end case;
    pattern := '_(\d{4}' || repeat('_\d{2}', length(template) - length(replace(template, '_', ''))) || ')$';
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
