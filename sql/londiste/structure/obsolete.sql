-- Functions of an older installation whose result type has changed since are dropped; the files of functions, which
-- come later in the same transaction, create them anew.
do $obsolete$
declare
    obj record;
begin
    for obj in
        select p.oid::regprocedure as fn
          from (values ('get_table_list', ''),
                       ('find_rel_oid', 'oid'), ('find_table_oid', 'oid'), ('find_seq_oid', 'oid'),
                       ('restore_table_fkey', 'text')) as now (name, result)
          join pg_catalog.pg_proc p on p.proname = now.name
          join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'londiste'
           and case now.name
               when 'get_table_list' then
                   not ('{dest_table,copy_pos,copy_role}' <@ coalesce(p.proargnames, '{}'))
               else
                   format_type(p.prorettype, null) <> now.result
                   or (now.name = 'restore_table_fkey' and p.pronargs = 2)
               end
    loop
        execute format('drop function %s', obj.fn);
    end loop;
end
$obsolete$;
