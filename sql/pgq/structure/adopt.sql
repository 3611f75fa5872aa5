-- An installation of the original is taken over: what CREATE EXTENSION pgq made by ../release_extension.sql, which
-- comes next, what plain SQL files made as it is.  Queues, consumers, events and triggers stay; the files that follow
-- replace the function bodies under their OIDs, so existing triggers keep working.
set skytools.module = 'pgq';

-- The generic triggers of the original's build without C take arguments that those in C refuse, and these here too:
-- every change of such a table would fail from now on.
do $plain$
declare
    _trigger record;
    _refused text := '';
begin
    if pg_catalog.to_regclass('pgq.trigger_plan') is not null
       or not exists (select 1
                        from pg_catalog.pg_proc p
                        join pg_catalog.pg_language l on l.oid = p.prolang
                       where p.oid = pg_catalog.to_regprocedure('pgq.logutriga()') and l.lanname = 'plpgsql') then
        return;
    end if;

    for _trigger in
        select t.tgname, t.tgrelid::pg_catalog.regclass as rel,
               case when t.tgargs like E'%\\000skip\\000%'::bytea
                    then 'argument skip is to be written SKIP, in a BEFORE trigger'
                    else 'argument SKIP has no effect in an AFTER trigger, leave it out' end as why
          from pg_catalog.pg_trigger t
         where not t.tgisinternal
           and t.tgfoid in (select p.oid
                              from pg_catalog.pg_proc p
                             where p.pronamespace = 'pgq'::pg_catalog.regnamespace
                               and p.proname in ('logutriga', 'sqltriga', 'jsontriga'))
           and (t.tgargs like E'%\\000skip\\000%'::bytea
                -- 2: the trigger is a BEFORE trigger
                or t.tgargs like E'%\\000SKIP\\000%'::bytea and t.tgtype & 2 = 0)
         order by t.tgrelid::pg_catalog.regclass::text, t.tgname
    loop
        _refused := _refused || pg_catalog.format(E'\ntrigger %I on table %s: %s', _trigger.tgname, _trigger.rel, _trigger.why);
    end loop;
    if _refused <> '' then
        raise exception 'generic triggers have arguments that only the original without C accepts:%', _refused
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Nothing was changed. Create these triggers anew (CREATE OR REPLACE TRIGGER), then install again.';
    end if;

    for _trigger in
        select q.queue_name from pgq.queue q where q.queue_per_tx_limit is not null order by 1
    loop
        raise notice 'queue %: queue_per_tx_limit, which had no effect without C, has one from now on', _trigger.queue_name;
    end loop;
end;
$plain$;
