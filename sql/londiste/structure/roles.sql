-- ----------------------------------------------------------------------
-- Roles of Londiste.  Roles belong to the whole server: where the installing user
-- may not create them, installation goes on without, and a later install by
-- somebody who may adds them with their rights.
-- ----------------------------------------------------------------------
do $roles$
declare
    r record;
begin
    for r in
        select * from (values ('londiste_writer', 'pgq_admin'),
                              ('londiste_reader', 'pgq_reader')) as v (name, parent)
    loop
        continue when exists (select 1 from pg_catalog.pg_roles where rolname = r.name);
        if not exists (select 1 from pg_catalog.pg_roles where rolname = r.parent) then
            raise notice 'role % does not exist, so role % is not created', r.parent, r.name;
            continue;
        end if;
        begin
            execute format('create role %I in role %I', r.name, r.parent);
        exception
            when insufficient_privilege then
                raise notice 'role % cannot be created by %: only the owner will use londiste',
                    r.name, current_user;
            when duplicate_object or unique_violation then
                null;       -- installed into two databases at once
        end;
    end loop;
end
$roles$;
