-- londiste.quote_fqname(name): schema.table as SQL, each part quoted as needed.
create or replace function londiste.quote_fqname(i_name text)
returns text
as $$
declare
    dot int4 = position('.' in i_name);
begin
    if dot = 0 then
        return 'public.' || quote_ident(i_name);
    end if;
    return quote_ident(left(i_name, dot - 1)) || '.' || quote_ident(substr(i_name, dot + 1));
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
