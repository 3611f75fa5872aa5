-- ----------------------------------------------------------------------
-- londiste.local_add_table(queue, table [, trg_args [, table_attrs [, dest_table]]])
--
--   Replicate a table of the queue in this database.  An error code means that
--   nothing was changed.
--
-- Arguments:
--   i_table_name   name in the events; without schema it is in public
--   i_trg_args     expect_sync      data is there already: no copy
--                  skip_truncate    keep what the table holds when copying
--                  no_triggers      no capture
--                  virtual_table    no such table here, no capture, no copy
--                  merge_all        also add it from all sibling queues
--                  no_merge         leave sibling queues alone
--                  tgflags=..., skip and others: see create_trigger()
--   i_table_attrs  url-encoded; NULL keeps what is stored
--   i_dest_table   local name when it differs
-- Returns:
--   200  added, or was added already
--   301  added, but another trigger fires before ours
--   400  no such set, no primary key (inserts only, tgflags=I, need none), or a name
--        that events cannot carry
--   404  no such table here, or the queue does not have it
--   405  merge_all against no_merge; several sources without either; already
--        replicated from a sibling queue; would be captured twice
--   410  was added with other attributes
--   or the code of create_trigger()
-- Writes:  londiste.table_info; on the root an event londiste.add-table
-- ----------------------------------------------------------------------
create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    in i_dest_table text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_dest text = londiste.make_fqname(coalesce(i_dest_table, i_table_name));
    l_desc text;
    l_rel oid;
    l_arg text;
    l_attrs text = i_table_attrs;
    l_expect_sync boolean = false;
    l_skip_truncate boolean = false;
    l_merge_all boolean = false;
    l_no_merge boolean = false;
    l_virtual boolean = false;
    l_no_triggers boolean = false;
    l_node record;
    l_row record;
    l_sibling record;
    l_state text;
    l_trigger record;
    l_other text;
begin
    foreach l_arg in array coalesce(i_trg_args, '{}') loop
        case lower(l_arg)
        when 'expect_sync' then l_expect_sync := true;
        when 'skip_truncate' then l_skip_truncate := true;
        when 'merge_all' then l_merge_all := true;
        when 'no_merge' then l_no_merge := true;
        when 'no_triggers' then l_no_triggers := true;
        when 'virtual_table' then
            l_virtual := true;
            l_expect_sync := true;
        else null;      -- for create_trigger()
        end case;
    end loop;
    if l_merge_all and l_no_merge then
        ret_code := 405;
        ret_note := 'Cannot use merge-all and no-merge together';
        return;
    end if;
    if l_skip_truncate then
        l_attrs := concat_ws('&', nullif(l_attrs, ''), 'skip_truncate=1');
    end if;
    l_desc := l_table || case when l_dest <> l_table then '(' || l_dest || ')' else '' end;

    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste._check_table(i_queue_name, l_table, l_dest, l_virtual,
                                 coalesce(i_trg_args, '{}')) f;
    if ret_code >= 300 then
        return;
    end if;

    -- the lock serialises additions to one queue, as in global_add_table()
    select n.node_type, n.combined_queue, c.node_type as combined_type
      into l_node
      from pgq_node.node_info n
      left join pgq_node.node_info c on c.queue_name = n.combined_queue
     where n.queue_name = i_queue_name
       for no key update of n;
    if not found then
        ret_code := 400;
        ret_note := 'No such set: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    select t.local, t.table_attrs into l_row
      from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.table_name = l_table
       for update;
    if not found and l_node.node_type <> 'root' then
        ret_code := 404;
        ret_note := 'Table not available on queue: ' || l_desc;
        return;
    end if;
    if l_row.local then
        if coalesce(l_row.table_attrs, '') <> coalesce(l_attrs, '') then
            ret_code := 410;
            ret_note := format('Table %s already added, but with different args: %s',
                               l_desc, l_row.table_attrs);
        else
            ret_code := 200;
            ret_note := 'Table already added: ' || l_desc;
        end if;
        return;
    end if;

    if l_node.node_type = 'root' or l_expect_sync
        or (l_node.node_type = 'leaf' and l_node.combined_type = 'branch')
    then
        l_state := 'ok';
    end if;

    begin
        if not l_virtual and not l_no_triggers then
            select f.ret_code, f.ret_note into ret_code, ret_note
              from londiste._check_capture(i_queue_name, l_table, l_dest, l_node.node_type) f;
            if ret_code >= 300 then
                raise sqlstate 'LN001';
            end if;
        end if;
        if not exists (select 1 from londiste.table_info t
                        where t.queue_name = i_queue_name and t.table_name = l_table)
        then
            select f.ret_code, f.ret_note into ret_code, ret_note
              from londiste.global_add_table(i_queue_name, l_table) f;
            if ret_code >= 300 then
                raise sqlstate 'LN001';
            end if;
        end if;
        update londiste.table_info
           set local = true,
               merge_state = l_state,
               table_attrs = coalesce(l_attrs, table_attrs),
               dest_table = nullif(l_dest, l_table)
         where queue_name = i_queue_name
           and table_name = l_table;
        if l_node.node_type = 'root' then
            perform londiste.root_notify_change(i_queue_name, 'londiste.add-table', l_table);
        end if;

        if l_node.node_type = 'leaf' and not l_no_merge then
            select f.ret_code, f.ret_note into ret_code, ret_note
              from londiste._merge_siblings(i_queue_name, l_table, l_dest, i_trg_args, l_attrs,
                                            l_state, l_merge_all) f;
            if ret_code >= 400 then
                raise sqlstate 'LN001';
            end if;
        end if;

        select f.ret_code, f.ret_note, f.trigger_name into l_trigger
          from londiste.create_trigger(i_queue_name, l_table, i_trg_args, l_dest, l_node.node_type) f;
        if l_trigger.ret_code > 299 then
            ret_code := l_trigger.ret_code;
            ret_note := format('Trigger creation failed for table %s: %s', l_desc, l_trigger.ret_note);
            raise sqlstate 'LN001';
        end if;
    exception when sqlstate 'LN001' then
        return;
    end;

    ret_code := 200;
    if l_trigger.ret_code = 201 then
        ret_note := 'Table added with no triggers: ' || l_desc;
        return;
    end if;
    ret_note := 'Table added: ' || l_desc;

    -- A trigger that fires earlier may change the row or write before ours does.
    l_rel := londiste.find_table_oid(l_dest);
    select t.tgname into l_other
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_trigger our on our.tgrelid = t.tgrelid and our.tgname = l_trigger.trigger_name
     where t.tgrelid = l_rel
       and t.tgname < our.tgname
       and not t.tgisinternal
       and t.tgenabled <> 'D'
       and t.tgtype & 1 = 1
       and (t.tgtype & 2 = 2 or t.tgtype & 2 = our.tgtype & 2)
       and not londiste.is_replica_func(t.tgfoid)
     order by t.tgname
     limit 1;
    if found then
        ret_code := 301;
        ret_note := format('Table added: %s, but londiste trigger is not first: %s', l_desc, l_other);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, i_trg_args, i_table_attrs, null) f;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, i_trg_args, null, null) f;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
begin
    select f.ret_code, f.ret_note into ret_code, ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, null, null, null) f;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
