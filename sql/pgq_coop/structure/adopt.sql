-- ----------------------------------------------------------------------
-- Take over an installation made by CREATE EXTENSION pgq_coop.
--
-- The objects keep their data and stop being members of the extension, which is
-- then dropped: functions replaced inside an extension would fall back to the
-- old ones in every restored dump.  Extensions that require this one are
-- released the same way, or it could not be dropped.
-- ----------------------------------------------------------------------
do $adopt$
declare
    ext record;
    obj record;
begin
    for ext in
        with recursive tree (oid, depth) as (
            select e.oid, 0 from pg_catalog.pg_extension e where e.extname = 'pgq_coop'
            union all
            select d.objid, t.depth + 1
              from tree t
              join pg_catalog.pg_depend d
                on d.refclassid = 'pg_extension'::regclass and d.refobjid = t.oid
               and d.classid = 'pg_extension'::regclass and d.deptype = 'n'
        )
        select e.oid, e.extname, max(t.depth) as depth
          from tree t
          join pg_catalog.pg_extension e on e.oid = t.oid
         group by e.oid, e.extname
         order by depth desc
    loop
        for obj in
            select o.type, o.identity
              from pg_catalog.pg_depend d,
                   lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o
             where d.refclassid = 'pg_extension'::regclass
               and d.refobjid = ext.oid
               and d.deptype = 'e'
        loop
            execute format('alter extension %I drop %s %s', ext.extname, obj.type, obj.identity);
        end loop;
        execute format('drop extension %I', ext.extname);
        raise notice 'extension % released, its objects and data stay', ext.extname;
    end loop;
end
$adopt$;
