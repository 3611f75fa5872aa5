-- ----------------------------------------------------------------------
-- londiste.local_change_handler(queue, table, trg_args, table_attrs)
--
--   Give a local table another handler: store its attributes, put its triggers
--   right.  Nothing is copied anew.  How changes are captured (form=) and what those do
--   that cannot be (capture_failure=) stays as it is, where trg_args does not say otherwise.
--   An error code means that nothing was changed.
--
-- Returns:
--   200  changed
--   301  changed; the note says what of the capture could not stay, or was lost before
--   400  no such set; no primary key, and more than inserts asked for
--   404  no such local table, or it was dropped
--   or the code of create_trigger()
-- ----------------------------------------------------------------------
create or replace function londiste.local_change_handler(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_table text = londiste.make_fqname(i_table_name);
    l_type text;
    l_dest text;
    l_desc text;
begin
    select n.node_type into l_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 400;
        ret_note := 'No such set: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;

    begin
        update londiste.table_info t
           set table_attrs = i_table_attrs
         where t.queue_name = i_queue_name
           and t.table_name = l_table
           and t.local
        returning coalesce(t.dest_table, t.table_name) into l_dest;
        if not found then
            ret_code := 404;
            ret_note := 'no such local table: ' || coalesce(i_table_name, 'NULL');
            return;
        end if;
        l_desc := l_table || case when l_dest <> l_table then '(' || l_dest || ')' else '' end;

        select f.ret_code, f.ret_note into ret_code, ret_note
          from londiste._check_table(i_queue_name, l_table, l_dest,
                                     coalesce(i_trg_args && '{virtual_table,no_triggers}', false),
                                     coalesce(i_trg_args, '{}')) f;
        if ret_code > 299 then
            raise sqlstate 'LN001';
        end if;
        select f.ret_code, f.ret_note into ret_code, ret_note
          from londiste._change_trigger(i_queue_name, l_table, i_trg_args, l_dest, l_type) f;
        if ret_code >= 400 then
            ret_note := format('Trigger creation failed for table %s: %s', l_desc, ret_note);
            raise sqlstate 'LN001';
        end if;
    exception when sqlstate 'LN001' then
        return;
    end;

    if ret_code = 301 then
        ret_note := format('Handler changed for table: %s, but: %s', l_desc, ret_note);
        return;
    end if;
    ret_note := case when ret_code = 201 then 'Table handler updated with no triggers: '
                     else 'Handler changed for table: ' end || l_desc;
    ret_code := 200;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
