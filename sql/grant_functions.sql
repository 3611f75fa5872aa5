-- Rights on the functions of a module.  Each module's install.sql includes this file; structure/grants.sql, which comes
-- before, puts into skytools.rights whom each function is for:
--
--      {"schema": ..., "roles": [the roles it grants to], "functions": {name: [roles, or "public"]}}
--
-- Every function named is taken from PUBLIC and from these roles first.  Then each role of its list that exists is granted
-- to; where roles could not be created only the owner (and what is public on purpose) is left, and a later installation
-- grants the rest.  Functions that somebody else put into the schema are left alone.
do $grants$
declare
    _rights constant jsonb := pg_catalog.current_setting('skytools.rights')::jsonb;
    _schema constant text := _rights ->> 'schema';
    _missing text;
    _f record;
    _role text;
begin
    perform pg_catalog.set_config('skytools.rights', '', false);
    for _f in
        select p.oid::pg_catalog.regprocedure as fn, _rights -> 'functions' -> p.proname::text as grantees
          from pg_catalog.pg_proc p
         where p.pronamespace = _schema::pg_catalog.regnamespace
    loop
        if _f.grantees is null then
            raise notice 'function % is not a part of %: its rights stay as they are', _f.fn, _schema;
            continue;
        end if;
        for _role in
            select r from pg_catalog.jsonb_array_elements_text(_rights -> 'roles') r where pg_catalog.to_regrole(r) is not null
            union all
            select 'public'
        loop
            execute pg_catalog.format('revoke all on function %s from %s', _f.fn, _role);
            if _f.grantees ? _role then
                execute pg_catalog.format('grant execute on function %s to %s', _f.fn, _role);
            end if;
        end loop;
    end loop;

    select pg_catalog.string_agg(r, ', ' order by r) into _missing
      from pg_catalog.jsonb_array_elements_text(_rights -> 'roles') r
     where pg_catalog.to_regrole(r) is null;
    if _missing is not null then
        raise notice 'schema %: nothing is granted to roles that do not exist: %', _schema, _missing;
    end if;
end;
$grants$;
