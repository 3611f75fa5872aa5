create or replace function pgq._capture_allow(i_table oid)
returns void as $$
-- Lets the owner of PgQ find the types of a table that its functions capture: USAGE of the schema.  As whoever puts capture on the table.
--
-- Errors:
--      insufficient_privilege without USAGE
declare
    _owner name := (select pg_get_userbyid(p.proowner) from pg_proc p where p.oid = 'pgq._apply_allowed(text)'::regprocedure);
    _schema name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = i_table);
begin
    if not has_schema_privilege(_owner, _schema, 'usage') then
        begin
            execute format('grant usage on schema %I to %I', _schema, _owner);
        exception when insufficient_privilege then
            null;       -- said below
        end;
        if not has_schema_privilege(_owner, _schema, 'usage') then
            raise exception 'role %, the owner of PgQ, may not use schema %', _owner, _schema
                using errcode = 'insufficient_privilege', hint = format('Let the owner of the schema run: grant usage on schema %I to %I', _schema, _owner);
        end if;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
