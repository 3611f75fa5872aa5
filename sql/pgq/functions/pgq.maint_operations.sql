create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record as $$
-- Lists the maintenance to be done now.
--
-- The caller runs each row in a transaction of its own: "vacuum" as a statement on the table func_arg, anything else as
-- a function with func_arg as its argument, if not null; as long as the function returns a number above 0, again.
--
-- Tables read:
--      pgq.queue; pgq.capture; pgq_node.node_info, londiste.seq_info where they exist
declare
    _q record;
    _name text;
    _step2 boolean := false;
begin
    for _q in
        select q.queue_name, q.queue_switch_step2 is null as half_done
          from pgq.queue q
         where q.queue_switch_step2 is null
            or q.queue_switch_time + q.queue_rotation_period < current_timestamp
         order by q.queue_name
    loop
        _step2 := true;
        if not _q.half_done then
            func_name := 'pgq.maint_rotate_tables_step1';
            func_arg := _q.queue_name;
            return next;
        end if;
    end loop;
    if _step2 then
        func_name := 'pgq.maint_rotate_tables_step2';
        func_arg := null;
        return next;
    end if;

    for func_name, func_arg in
        select m.name, q.queue_name
          from pgq.queue q, pg_catalog.unnest(q.queue_extra_maint) with ordinality m (name, nr)
         order by q.queue_name, m.nr
    loop
        return next;
    end loop;

    func_name := 'pgq.maint_sample_capture';
    for func_arg in select c from pgq._capture_to_sample() c loop
        return next;
    end loop;

    func_name := 'vacuum';
    for func_arg in select t from pgq.maint_tables_to_vacuum() t loop
        return next;
    end loop;

    if exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                where n.nspname = 'pgq_node' and p.proname = 'maint_watermark') then
        func_name := 'pgq_node.maint_watermark';
        for func_arg in
            select n.queue_name from pgq_node.node_info n where n.node_type = 'root' order by 1
        loop
            return next;
        end loop;
    end if;

    if exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                where n.nspname = 'londiste' and p.proname = 'root_check_seqs') then
        func_name := 'londiste.root_check_seqs';
        for func_arg in
            select distinct s.queue_name
              from londiste.seq_info s join pgq_node.node_info n on n.queue_name = s.queue_name
             where s.local and n.node_type = 'root'
             order by 1
        loop
            return next;
        end loop;
    end if;

    if exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                where n.nspname = 'londiste' and p.proname = 'periodic_maintenance') then
        func_name := 'londiste.periodic_maintenance';
        func_arg := null;
        return next;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
