-- ----------------------------------------------------------------------
-- londiste._check_table(queue, table, dest, virtual, trg_args): may this name be
--   replicated, and is there such a table here with a key?
--
--   A table without primary key is accepted when only its inserts are asked for
--   (tgflags=I), or while a sibling queue's copy has taken the key away.
--
-- Returns:  200, or 400/404 with a note for the caller of local_add_table()
-- ----------------------------------------------------------------------
create or replace function londiste._check_table(
    in i_queue_name text,
    in i_table_name text,
    in i_dest_table text,
    in i_virtual boolean,
    in i_trg_args text[],
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_name text;
    l_rel oid;
begin
    foreach l_name in array array[i_table_name, i_dest_table] loop
        if l_name is null then
            ret_code := 404;
            ret_note := 'Table does not exist: NULL';
            return;
        end if;
        perform 1 from londiste.split_fqname(l_name) f
          where f.schema_part = '' or f.name_part = '';
        if found then
            ret_code := 400;
            ret_note := format('Table name is empty: "%s", expected schema.table', l_name);
            return;
        end if;
    end loop;
    ret_code := 200;
    ret_note := 'OK';
    if i_virtual then
        return;
    end if;

    l_rel := londiste.find_table_oid(i_dest_table);
    if l_rel is null then
        -- Events separate schema and table at the first dot.
        perform 1
           from pg_catalog.pg_class c
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname || '.' || c.relname = i_dest_table
            and n.nspname like '%.%';
        if found then
            ret_code := 400;
            ret_note := format('Schema of table %s has a dot in its name, which events cannot carry: '
                               'use ALTER SCHEMA ... RENAME TO first', i_dest_table);
        else
            ret_code := 404;
            ret_note := 'Table does not exist: ' || i_dest_table;
        end if;
        return;
    end if;

    if exists (select 1 from pg_catalog.pg_index k where k.indrelid = l_rel and k.indisprimary)
        or exists (select 1 from unnest(i_trg_args) a
                    where a ~* '^tgflags=' and substr(a, length('tgflags=') + 1) ~* 'I'
                      and substr(a, length('tgflags=') + 1) !~* '[UD]')
    then
        return;
    end if;
    -- pk is away while a sibling part of a merge is being copied
    perform 1
       from pgq_node.node_info n
       join pgq_node.node_info s
         on s.node_type = 'leaf' and s.queue_name <> n.queue_name
        and s.combined_queue is not distinct from n.combined_queue
       join londiste.table_info t on t.queue_name = s.queue_name
      where n.queue_name = i_queue_name
        and n.node_type = 'leaf'
        and coalesce(t.dest_table, t.table_name) = i_dest_table
        and t.local
        and t.dropped_ddl is not null;
    if not found then
        ret_code := 400;
        ret_note := 'Primary key missing on table: ' || i_dest_table;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
