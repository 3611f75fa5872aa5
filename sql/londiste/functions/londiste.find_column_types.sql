-- londiste.find_column_types(table): one letter per live column in table order,
-- k for a column of the primary key, v for others; NULL when there is no such table.
create or replace function londiste.find_column_types(tbl text)
returns text
as $$
declare
    l_types text;
begin
    select string_agg(case when k.indrelid is null then 'v' else 'k' end, '' order by a.attnum)
      into l_types
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_index k
        on k.indrelid = a.attrelid and k.indisprimary
       and a.attnum = any (k.indkey::int2[])
     where a.attrelid = londiste.find_table_oid(tbl)
       and a.attnum > 0
       and not a.attisdropped;
    return l_types;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
