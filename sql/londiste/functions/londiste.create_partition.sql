-- ----------------------------------------------------------------------
-- londiste.create_partition(table, part, pkeys, part_field, part_time, part_period)
--
--   Make an inheritance child of a table, for handlers that spread rows over
--   time: same columns, indexes, owner, grants, triggers and rules.
--
-- Arguments:
--   i_pkeys         unused
--   i_part_field    column that the child's check constraint is about; NULL or
--                   empty: no constraint
--   i_part_time, i_part_period   the child holds the period (hour, day, week,
--                   month, year: a unit of date_trunc) that part_time lies in
-- Returns:  1 created, 0 exists already
-- Locks:    londiste.table_info, so that two workers do not make the same child
-- ----------------------------------------------------------------------
create or replace function londiste.create_partition(
    i_table text,
    i_part text,
    i_pkeys text,
    i_part_field text,
    i_part_time timestamptz,
    i_part_period text)
returns int
as $$
declare
    l_parent text;
    l_child text;
    l_rel oid;
    l_start timestamptz;
    l_end timestamptz;
    l_item record;
    l_pos int4;
    l_sql text;
    l_name name;
begin
    if i_table is null or i_part is null then
        raise exception 'need table and part';
    end if;
    l_parent := londiste.quote_fqname(i_table);
    l_child := londiste.quote_fqname(i_part);

    lock table londiste.table_info in share update exclusive mode;
    perform 1
       from londiste.split_fqname(i_part) f
       join pg_catalog.pg_namespace n on n.nspname = f.schema_part
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = f.name_part;
    if found then
        return 0;
    end if;
    l_rel := londiste.find_table_oid(i_table);
    if l_rel is null then
        raise exception 'relation "%" does not exist', londiste.make_fqname(i_table)
            using errcode = 'undefined_table';
    end if;

    execute format('create table %s (like %s including all) inherits (%s)', l_child, l_parent, l_parent);
    select format('alter table %s owner to %I', l_child, r.rolname) into l_sql
      from pg_catalog.pg_class c
      join pg_catalog.pg_roles r on r.oid = c.relowner
     where c.oid = l_rel;
    execute l_sql;

    if coalesce(i_part_field, '') <> '' then
        if i_part_time is null or i_part_period is null then
            raise exception 'need part_time and part_period for the constraint on "%" of %',
                    i_part_field, i_part;
        end if;
        l_start := date_trunc(i_part_period, i_part_time);
        l_end := l_start + ('1 ' || i_part_period)::interval;
        execute format('alter table %s add check (%I >= %L and %I < %L)',
                       l_child, i_part_field, l_start, i_part_field, l_end);
    end if;

    -- what the owner may do needs no grant
    for l_item in
        select a.privilege_type, a.is_grantable, r.rolname
          from pg_catalog.pg_class c,
               lateral aclexplode(c.relacl) a
          left join pg_catalog.pg_roles r on r.oid = a.grantee
         where c.oid = l_rel
           and a.grantee <> c.relowner
    loop
        execute format('grant %s on table %s to %s%s', l_item.privilege_type, l_child,
                       coalesce(quote_ident(l_item.rolname), 'public'),
                       case when l_item.is_grantable then ' with grant option' else '' end);
    end loop;

    -- With nothing on search_path but pg_catalog definitions name the table in full.
    for l_item in
        select t.tgname, t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid) as def
          from pg_catalog.pg_trigger t
         where t.tgrelid = l_rel
           and not t.tgisinternal
           and t.tgfoid::regproc::text !~ '^pgq\._capture_([0-9]+|open|one_key)$'
         order by t.tgname
    loop
        l_sql := ' ON ' || l_parent;
        l_pos := position(l_sql in l_item.def);
        l_item.def := overlay(l_item.def placing ' ON ' || l_child from l_pos for length(l_sql));
        execute l_item.def;
        if l_item.tgenabled <> 'O' then
            execute format('alter table %s %s trigger %I', l_child,
                           case l_item.tgenabled when 'D' then 'disable'
                                                 when 'A' then 'enable always'
                                                 else 'enable replica' end,
                           l_item.tgname);
        end if;
    end loop;

    -- Generated capture belongs to one table; the generic trigger takes the same arguments.
    if to_regclass('pgq.capture') is not null then
        for l_item in
            select c.trigger_name, c.operations, max(t.tgenabled) as enabled, c.queue_name || c.options as args
              from pg_catalog.pg_trigger t
              join pgq.capture c on format('pgq.%I()', c.function_name) = t.tgfoid::regprocedure::text
             where t.tgrelid = l_rel
             group by c.capture_id
        loop
            perform pgq._capture_triggers(to_regclass(l_child), l_item.trigger_name, 'generic', 'logutriga', l_item.args, l_item.operations);
            for l_name in
                select t.tgname from pg_catalog.pg_trigger t
                 where l_item.enabled <> 'O' and t.tgrelid = to_regclass(l_child) and t.tgname in (select w.name from pgq._capture_wanted('generic', l_item.trigger_name, l_item.operations, false) w)
            loop
                execute format('alter table %s %s trigger %I', l_child,
                               case l_item.enabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end, l_name);
            end loop;
        end loop;
    end if;

    for l_item in
        select r.rulename, r.ev_enabled, pg_catalog.pg_get_ruledef(r.oid) as def
          from pg_catalog.pg_rewrite r
         where r.ev_class = l_rel
         order by r.rulename
    loop
        l_sql := ' TO ' || l_parent;
        l_pos := position(l_sql in l_item.def);
        execute overlay(l_item.def placing ' TO ' || l_child from l_pos for length(l_sql));
        if l_item.ev_enabled <> 'O' then
            execute format('alter table %s %s rule %I', l_child,
                           case l_item.ev_enabled when 'D' then 'disable'
                                                  when 'A' then 'enable always'
                                                  else 'enable replica' end,
                           l_item.rulename);
        end if;
    end loop;

    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on;
