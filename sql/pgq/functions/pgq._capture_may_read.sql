create or replace function pgq._capture_may_read(i_table oid)
returns boolean as $$
-- Whether the owner of PgQ may look at the rows of a captured table.
--
-- To plan a query the server works out what is constant in the expressions of a table's statistics, checks and indexes, as whoever
-- asks.  So a table with functions of users in them is not looked at.
--
-- Asked for single rows, so in PL/pgSQL: it keeps its plan.
begin
    return has_table_privilege(i_table, 'select') and not row_security_active(i_table)
       and not exists (
           select 1
             from (select 'pg_statistic_ext'::regclass::oid, s.oid from pg_statistic_ext s where s.stxrelid = i_table
                   union all
                   select 'pg_constraint'::regclass, c.oid from pg_constraint c where c.conrelid = i_table and c.contype = 'c'
                   union all
                   select 'pg_class'::regclass, x.indexrelid from pg_index x where x.indrelid = i_table and (x.indexprs is not null or x.indpred is not null)) o (kind, id)
                  join pg_depend d on d.classid = o.kind and d.objid = o.id
                  left join pg_operator p on d.refclassid = 'pg_operator'::regclass and p.oid = d.refobjid
                  join pg_proc f on f.oid = case d.refclassid when 'pg_proc'::regclass then d.refobjid else p.oprcode end
                  join pg_language l on l.oid = f.prolang
            where l.lanname not in ('internal', 'c'));
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;
