-- Takes over an installation made by CREATE EXTENSION pgq.
--
-- Every member is released from the extension, then the extension itself is dropped: it no longer
-- owns anything, so queues, consumers, events and triggers stay as they are, and the files that
-- follow replace the function bodies under their old OIDs (existing triggers keep working).
-- While another extension (pgq_node, londiste) still requires pgq, the empty shell stays behind;
-- running this file once more after they are adopted removes it.
do $adopt$
declare
    _ext oid;
    _member record;
    _needed_by text;
begin
    select e.oid into _ext from pg_catalog.pg_extension e where e.extname = 'pgq';
    if not found then
        return;
    end if;

    for _member in
        select o.type, o.identity
          from pg_catalog.pg_depend d,
               lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
         where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
           and d.refobjid = _ext
           and d.deptype = 'e'
         order by o.type = 'schema', o.identity
    loop
        execute 'alter extension pgq drop ' || _member.type || ' ' || _member.identity;
    end loop;

    select pg_catalog.string_agg(e.extname, ', ' order by e.extname) into _needed_by
      from pg_catalog.pg_depend d, pg_catalog.pg_extension e
     where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
       and d.refobjid = _ext
       and d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass
       and d.objid = e.oid;
    if _needed_by is not null then
        raise notice 'extension pgq is adopted, its empty entry stays while it is required by: %', _needed_by;
        return;
    end if;

    drop extension pgq;
    raise notice 'extension pgq is adopted: queues, consumers and events were kept';
end;
$adopt$;
