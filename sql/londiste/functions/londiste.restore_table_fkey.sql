-- ----------------------------------------------------------------------
-- londiste.restore_table_fkey(from_table, fkey [, lazy])
--
--   Put a dropped foreign key back.  Not lazy: at once.  Lazy: returns the next
--   statement for the caller to run and commit, until the result is empty: first
--   the key without a check of existing rows, then that check, which blocks
--   nobody.
--
-- Returns:  next statement, or '' when done or when nothing was saved
-- Writes:   londiste.pending_fkeys
-- ----------------------------------------------------------------------
create or replace function londiste.restore_table_fkey(
    i_from_table text, i_fkey_name text, i_lazy boolean default false)
returns text
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
        return '';
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
                return l_def || case when l_unchecked or l_partitioned then '' else ' not valid' end;
            elsif not l_valid and not l_unchecked then
                return format('alter table %s%s validate constraint %I',
                              case when l_partitioned then '' else 'only ' end,
                              londiste.quote_fqname(l_table), i_fkey_name);
            end if;
        elsif l_valid is null then
            execute l_def;
        end if;
    end if;

    delete from londiste.pending_fkeys
     where from_table = l_table
       and fkey_name = i_fkey_name;
    return '';
end;
$$ language plpgsql strict;
