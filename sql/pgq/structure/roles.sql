-- Roles that guard PgQ.  They belong to the cluster: made when missing, never dropped.
--
-- Who may not create roles gets a working installation all the same: structure/grants.sql takes
-- EXECUTE from PUBLIC on everything the roles would guard, so only the owner can use it until a
-- later run, made after an administrator has created the roles, grants them their part.
do $roles$
declare
    _role record;
begin
    for _role in
        select * from (values
            ('pgq_reader', 'create role pgq_reader'),
            ('pgq_writer', 'create role pgq_writer'),
            ('pgq_admin', 'create role pgq_admin in role pgq_reader, pgq_writer')) r (name, command)
    loop
        if pg_catalog.to_regrole(_role.name) is not null then
            continue;
        end if;
        begin
            execute _role.command;
        exception
            when insufficient_privilege then
                raise notice 'role % does not exist and may not be created here, going on without it', _role.name
                    using hint = 'An administrator can run: ' || _role.command
                                 || ';  then run the installation again.';
            when duplicate_object or unique_violation then
                null; -- another database of the cluster was faster
        end;
    end loop;
end;
$roles$;
