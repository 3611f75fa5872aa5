-- Takes an extension of the original, and those of its extensions that need it, out of the catalogue; every object
-- stays with its data.  Each module's install.sql includes this file and names the extension before: skytools.module.
--
-- What is released belongs to no extension any more: functions replaced inside one would fall back to the old ones in
-- every restored dump, and the extension could not be dropped while another requires it.  The entry of an
-- extension that somebody else's requires stays, empty.
do $release$
declare
    _family constant text[] := '{pgq,pgq_ext,pgq_coop,pgq_node,londiste}';
    _name constant text := pg_catalog.current_setting('skytools.module');
    _ext record;
    _member record;
    _needed_by text;
begin
    perform pg_catalog.set_config('skytools.module', '', false);
    for _ext in
        with recursive tree (oid, depth) as (
            select e.oid, 0 from pg_catalog.pg_extension e where e.extname = _name
            union all
            select e.oid, t.depth + 1
              from tree t
              join pg_catalog.pg_depend d
                on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = t.oid
               and d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass
              join pg_catalog.pg_extension e on e.oid = d.objid and e.extname = any (_family)
        )
        select e.oid, e.extname
          from tree t
          join pg_catalog.pg_extension e on e.oid = t.oid
         group by e.oid, e.extname
         order by pg_catalog.max(t.depth) desc
    loop
        for _member in
            select o.type, o.identity
              from pg_catalog.pg_depend d,
                   lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o
             where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
               and d.refobjid = _ext.oid
               and d.deptype = 'e'
             order by o.type = 'schema', o.identity
        loop
            execute pg_catalog.format('alter extension %I drop %s %s', _ext.extname, _member.type, _member.identity);
        end loop;

        select pg_catalog.string_agg(e.extname, ', ' order by e.extname) into _needed_by
          from pg_catalog.pg_depend d
          join pg_catalog.pg_extension e on e.oid = d.objid
         where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
           and d.refobjid = _ext.oid
           and d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass;
        if _needed_by is null then
            execute pg_catalog.format('drop extension %I', _ext.extname);
            raise notice 'extension % released, its objects and data stay', _ext.extname;
        else
            raise notice 'extension % released, its objects and data stay; its empty entry stays while it is required by: %',
                _ext.extname, _needed_by;
        end if;
    end loop;
end;
$release$;
