-- ----------------------------------------------------------------------
-- londiste._lost_capture(queue): local tables whose trigger is gone, disabled, or on
--   another table that has lost its name.
--
--   What counts is that an enabled trigger of the queue fires for each kind of change that
--   was noted, whatever it is called.  Tables that pgq.capture knows are left out: pgq looks after
--   those itself.
--
-- Returns:
--   table_name   as in the queue
--   dest_table   as in this database
--   problem      what is wrong
--   denies       whether the trigger refuses changes, as on a leaf: then none are lost
--   in_sync      whether the table is; while it is copied its triggers matter to nobody
-- ----------------------------------------------------------------------
create or replace function londiste._lost_capture(
    in i_queue_name text,
    out table_name text,
    out dest_table text,
    out problem text,
    out denies boolean,
    out in_sync boolean)
returns setof record
as $$
declare
    l_queue bytea = londiste._trigger_args(array[i_queue_name]);
    l_base text = londiste._trigger_base_name(i_queue_name);
    l_type text;
    l_generated oid[] = '{}';
    l_table record;
    l_place oid;
    l_flags text;
    l_wanted int4;
    l_there int4;
    l_gone int4;
    l_found record;
begin
    select n.node_type into l_type from pgq_node.node_info n where n.queue_name = i_queue_name;
    denies := l_type = 'leaf';
    -- an original pgq has no such table
    if to_regclass('pgq.capture') is not null then
        select coalesce(array_agg(to_regclass(format('%I.%I', c.rel_schema, c.rel_name))::oid), '{}') into l_generated
          from pgq.capture c
         where c.queue_name = i_queue_name;
    end if;

    for l_table in
        select t.table_name, coalesce(t.dest_table, t.table_name) as dest, r.rel, c.trg_args,
               coalesce(t.merge_state in ('ok', '?'), false) as in_sync
          from londiste.table_info t
          left join londiste.table_capture c on c.queue_name = t.queue_name and c.table_name = t.table_name,
               lateral (select londiste.find_table_oid(coalesce(t.dest_table, t.table_name)) as rel) r
         where t.queue_name = i_queue_name
           and t.local
           and r.rel is not null
           and r.rel <> all (l_generated)
           and not coalesce(c.trg_args && '{no_triggers,virtual_table}', false)
           -- Nobody noted whether there should be triggers: on a leaf many have none, and
           -- these handlers of the original use no table.
           and (c.trg_args is not null
                or l_type <> 'leaf' and coalesce(t.table_attrs, '') !~ '(^|&)handlers?=(vtable|fake_local)\M')
         order by t.nr
    loop
        l_flags := (select upper(substr(a, length('tgflags=') + 1)) from unnest(l_table.trg_args) a where a like 'tgflags=%');
        l_wanted := case when l_flags is null or l_flags ~ 'I' then 4 else 0 end
                  | case when l_flags is null or l_flags ~ 'U' then 16 else 0 end
                  | case when l_flags is null or l_flags ~ 'D' then 8 else 0 end;
        -- A change of a partitioned table fires the triggers of the partition.
        for l_place in
            select p.relid::oid from pg_catalog.pg_partition_tree(l_table.rel) p where p.isleaf
            union all
            select l_table.rel
             where not exists (select 1 from pg_catalog.pg_partition_tree(l_table.rel) p where p.isleaf)
        loop
            -- one trigger for all, or one for inserts beside one for the others, whose name begins with !
            select coalesce(bit_or(t.tgtype) filter (where t.tgenabled in ('O', 'A') and not starts_with(t.tgname, '!')), 0) & 28 as direct,
                   coalesce(bit_or(t.tgtype) filter (where t.tgenabled in ('O', 'A') and starts_with(t.tgname, '!')), 0) & 28 as late,
                   coalesce(array_agg(t.tgname order by t.tgname) filter (where t.tgenabled = 'D'), '{}') as disabled,
                   coalesce(array_agg(t.tgname order by t.tgname) filter (where t.tgenabled = 'R'), '{}') as replica
              into l_found
              from pg_catalog.pg_trigger t
              join pg_catalog.pg_proc p on p.oid = t.tgfoid
             where t.tgrelid = l_place
               -- clones on partitions are internal
               and (not t.tgisinternal or t.tgparentid <> 0)
               and t.tgtype & 32 = 0
               and p.pronamespace = 'pgq'::regnamespace
               and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') or p.proname ~ '^_capture_[0-9]+$')
               -- never fires
               and not starts_with(t.tgname, '!!')
               and substring(t.tgargs for length(l_queue)) = l_queue;
            l_there := l_found.direct | l_found.late;
            l_gone := l_wanted & ~l_there;
            -- What the triggers that are there leave out somebody has left out: only what is gone with a
            -- whole trigger is lost.
            if l_found.direct <> 0 then
                l_gone := case when l_found.direct & 24 = 0 then l_gone & 24 else 0 end;
            end if;
            if l_found.late <> 0 then
                l_gone := l_gone & 4;
            end if;
            -- nobody noted for which changes: any will do
            continue when l_gone = 0 or l_table.trg_args is null and l_there <> 0;

            table_name := l_table.table_name;
            dest_table := l_table.dest;
            in_sync := l_table.in_sync;
            problem := concat(
                case when l_place <> l_table.rel and l_found.disabled || l_found.replica <> '{}' then format('partition %s: ', l_place::regclass) end,
                case when l_found.disabled <> '{}' then format('trigger %I is disabled: ', l_found.disabled[1])
                     when l_found.replica <> '{}' then format('trigger %I is enabled for replicas only: ', l_found.replica[1])
                     else format('trigger %I is missing: ',
                                 case when l_flags ~ 'S' then 'zzz_' when l_there & 4 <> 0 or l_wanted & 4 = 0 then '!' else '' end || l_base)
                end,
                case when l_there = 0 and l_wanted = 28 then case when denies then 'changes made here are' else 'nothing is' end
                     else concat_ws(' and ', case when l_gone & 4 <> 0 then 'inserts' end, case when l_gone & 16 <> 0 then 'updates' end,
                                          case when l_gone & 8 <> 0 then 'deletes' end) || ' are' end,
                case when not denies and l_there = 0 and l_wanted = 28 then ' captured'
                     when denies then ' not refused' else ' not captured' end);
            return next;
            exit;
        end loop;
    end loop;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
