-- ----------------------------------------------------------------------
-- londiste._capture_args(queue, table, dest, node_type): arguments by which
--   create_trigger() makes what captures the table now, or denies changes; NULL when
--   nothing does, or the pgq of this database cannot tell.
--
--   That a generic trigger could be a generated one is not among them: refresh-trigger
--   makes it so anyway.
-- ----------------------------------------------------------------------
create or replace function londiste._capture_args(
    i_queue_name text, i_table_name text, i_dest_table text, i_node_type text)
returns text[]
as $$
declare
    l_queue bytea = londiste._trigger_args(array[i_queue_name]);
    l_now record;
    l_before boolean;
    l_flags text;
    l_args text[];
begin
    if to_regprocedure('pgq._capture_current(text,name,name)') is null then
        return null;
    end if;
    select c.function, c.form, c.operations, c.args, c.options into l_now
      from londiste.split_fqname(i_dest_table) f,
           pgq._capture_current(i_queue_name, f.schema_part::name, f.name_part::name) c;
    if l_now.function is null then
        return null;
    end if;

    select array_agg(a order by nr) into l_args
      from unnest(l_now.args) with ordinality u (a, nr)
     where nr > 1
       and a <> 'SKIP'
       and (a <> 'deny' or i_node_type is distinct from 'leaf')
       -- create_trigger() puts it there, for the truncate trigger, too
       and a <> format('ev_extra1=%L', i_table_name);
    l_before := l_now.function !~ '^_capture_' and exists (
        select 1
          from pg_catalog.pg_trigger t
          join pg_catalog.pg_proc p on p.oid = t.tgfoid
         where t.tgrelid = londiste.find_table_oid(i_dest_table)
           and not t.tgisinternal
           and t.tgtype & 3 = 3
           and p.pronamespace = 'pgq'::regnamespace
           and p.proname = l_now.function
           and substring(t.tgargs for length(l_queue)) = l_queue);
    l_flags := concat(case l_now.function when 'sqltriga' then 'Q' when 'jsontriga' then 'J' end,
                      case when l_before then 'B' end,
                      case when 'SKIP' = any (l_now.args[2:]) then 'S' end);
    if l_flags <> '' or l_now.operations <> 'IUD' then
        l_args := l_args || ('tgflags=' || l_now.operations || l_flags);
    end if;
    if l_now.form = 'statement' then
        l_args := l_args || 'form=statement'::text;
    end if;
    return coalesce(l_args, '{}')
        || array(select a from unnest(l_now.options) a where a like 'capture\_failure=%');
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
