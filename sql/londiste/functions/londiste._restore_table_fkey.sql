-- ----------------------------------------------------------------------
-- londiste._restore_table_fkey(from_table, fkey, lazy): what restore_table_fkey()
--   does, but for the statement that creates the key, which its caller runs: one
--   that the original has saved may name tables as the search_path of then allowed.
--
-- Returns one row:
--   statement        to run at once; NULL when there is none
--   next_statement   what restore_table_fkey() returns
-- ----------------------------------------------------------------------
create or replace function londiste._restore_table_fkey(
    in i_from_table text,
    in i_fkey_name text,
    in i_lazy boolean,
    out statement text,
    out next_statement text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_from_table);
    l_def text;
    l_rel oid;
    l_partitioned boolean;
    l_unchecked boolean;    -- was NOT VALID when it was dropped: stays so
    l_valid boolean;
begin
    select k.fkey_def into l_def
      from londiste.pending_fkeys k
     where k.from_table = l_table
       and k.fkey_name = i_fkey_name
       for update;
    if not found then
        next_statement := '';
        return;
    end if;

    l_rel := londiste.find_table_oid(l_table);
    select c.relkind = 'p' into l_partitioned from pg_catalog.pg_class c where c.oid = l_rel;
    l_unchecked := l_def ilike '% not valid';

    if l_rel is not null then
        select k.convalidated into l_valid
          from pg_catalog.pg_constraint k
         where k.conrelid = l_rel
           and k.contype = 'f'
           and k.conname = i_fkey_name;
        if i_lazy then
            if l_valid is null then
                -- a partitioned table takes a key only together with the check
                next_statement := l_def || case when l_unchecked or l_partitioned then '' else ' not valid' end;
                return;
            elsif not l_valid and not l_unchecked then
                next_statement := format('alter table %s%s validate constraint %I',
                                         case when l_partitioned then '' else 'only ' end,
                                         londiste.quote_fqname(l_table), i_fkey_name);
                return;
            end if;
        elsif l_valid is null then
            statement := l_def;
        end if;
    end if;

    delete from londiste.pending_fkeys
     where from_table = l_table
       and fkey_name = i_fkey_name;
    next_statement := '';
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
