-- londiste.split_fqname(name): schema and object at the first dot; without a dot the
-- schema is public.
create or replace function londiste.split_fqname(
    in i_fqname text,
    out schema_part text,
    out name_part text)
returns record
as $$
declare
    dot int4 = position('.' in i_fqname);
begin
    if dot = 0 then
        schema_part := 'public';
        name_part := i_fqname;
    else
        schema_part := left(i_fqname, dot - 1);
        name_part := substr(i_fqname, dot + 1);
    end if;
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
