-- ----------------------------------------------------------------------
-- londiste._change_trigger(queue, table, trg_args, dest, node_type)
--
--   create_trigger() for a table that is captured already: what was chosen for it and is not among the arguments, its form
--   and what a change does that cannot be captured, stays as it is, as far as the other arguments allow that.
--
-- Returns:
--   200  as it was
--   301  the note says what could not stay, and why
--   or the code of create_trigger()
-- ----------------------------------------------------------------------
create or replace function londiste._change_trigger(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_dest_table text,
    in i_node_type text,
    out ret_code int4,
    out ret_note text)
returns record
as $$
declare
    l_args text[] = coalesce(i_trg_args, '{}');
    l_place record;
    l_now record;
    l_form text[] = '{}';
    l_failure text[] = '{}';
    l_lost text;
    l_why text;
    l_gone text[] = '{}';
begin
    select f.schema_part as schema, f.name_part as name into l_place
      from londiste.split_fqname(londiste.make_fqname(i_dest_table)) f;
    -- an original pgq knows no forms
    if to_regprocedure('pgq._capture_current(text,name,name)') is not null
        and not l_args && '{no_triggers,virtual_table}'
    then
        select c.function, c.plain, c.form, c.args, c.options into l_now
          from pgq._capture_current(i_queue_name, l_place.schema::name, l_place.name::name) c;
        if l_now.function is null or l_now.function ~ '^_capture_' then
            if l_now.form = 'statement' then
                l_form := '{form=statement}';
            end if;
            if 'capture_failure=mark' = any (l_now.options) then
                l_failure := '{capture_failure=mark}';
            end if;
        elsif l_now.plain and pgq._capture_possible(londiste.find_table_oid(i_dest_table), l_now.args) then
            -- generic by choice: its old arguments did not ask for that
            l_form := '{form=generic}';
        end if;
        if exists (select from unnest(l_args) a where a like 'form=%') then
            l_form := '{}';
        end if;
        if exists (select from unnest(l_args) a where a like 'capture_failure=%') then
            l_failure := '{}';
        end if;
        select format('changes were not captured since %s: %s; copy the table again below (resync)', c.lost_since, c.lost_reason) into l_lost
          from pgq.capture c
         where c.queue_name = i_queue_name and c.rel_schema = l_place.schema and c.rel_name = l_place.name and c.lost_since is not null
         limit 1;
    end if;

    -- with both, without the form, with neither; errors are the caller's only when nothing is left to do without
    loop
        begin
            select f.ret_code, f.ret_note into ret_code, ret_note
              from londiste.create_trigger(i_queue_name, i_table_name, l_args || l_form || l_failure, i_dest_table, i_node_type) f;
            if ret_code <= 299 or l_form = '{}' and l_failure = '{}' then
                exit;
            end if;
            l_why := coalesce(l_why, ret_note);
            raise sqlstate 'LN002';
        exception
            when sqlstate 'LN002' then
                null;
            when feature_not_supported then
                if l_form = '{}' and l_failure = '{}' then
                    raise;
                end if;
                l_why := coalesce(l_why, sqlerrm);
        end;
        if l_form <> '{}' then
            l_gone := l_gone || l_form;
            l_form := '{}';
        else
            l_gone := l_gone || l_failure;
            l_failure := '{}';
        end if;
    end loop;
    if ret_code <= 299 and (l_gone <> '{}' or l_lost is not null) then
        ret_code := 301;
        ret_note := concat_ws('; ', 'without ' || nullif(array_to_string(l_gone, ' and '), '') || ' now: ' || l_why, l_lost);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
