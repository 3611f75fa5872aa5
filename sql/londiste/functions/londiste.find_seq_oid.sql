-- londiste.find_seq_oid(name): oid of a sequence; NULL when there is none.
create or replace function londiste.find_seq_oid(seq text)
returns oid
as $$
begin
    return londiste.find_rel_oid(seq, 'S');
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
