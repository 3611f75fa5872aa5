create or replace function pgq._trigger_plan(i_relid oid, i_kind text, i_args text[])
returns pgq.trigger_plan as $$
-- Works out how a generic trigger logs a table, and keeps the result in pgq.trigger_plan.
--
-- Parameters:
--      i_kind      - logutriga, sqltriga or jsontriga
--      i_args      - trigger arguments
--
-- Returns:
--      the plan as the catalogs show it to this transaction
-- Errors:
--      those of pgq._trigger_options and pgq._trigger_check_key; Unknown magic column; names that the event format cannot carry
-- Tables directly manipulated:
--      insert/update/delete - pgq.trigger_plan
declare
    _p pgq.trigger_plan%rowtype;
    _o record;
    _c record;
    _new text[] := '{}';
    _old text[] := '{}';
    _types text[] := '{}';
    _equal text[] := '{}';
    _key text[] := '{}';
    _ignored text[];
    _text text;
    _checked boolean;
    _x record;
    -- as pg_trigger has them
    _args constant bytea := (select string_agg(convert_to(a, getdatabaseencoding()) || '\x00'::bytea, ''::bytea order by nr) from unnest(i_args) with ordinality u (a, nr));
begin
    select * into _o from pgq._trigger_options(i_args);

    _p.relid := i_relid;
    _p.kind := i_kind;
    _p.args := i_args;
    _p.home := 'pgq.trigger_plan'::regclass;
    _p.queue := _o.queue;
    _p.skip := _o.skip;
    _p.deny := _o.deny;
    _p.backup := _o.backup;
    _p.truncate_error := case
        when _o.ignored is not null then 'Column ignore does not make sense for truncate trigger'
        when _o.pkey is not null then 'Custom pkey_list does not make sense for truncate trigger'
        when _o.backup then 'Backup does not make sense for truncate trigger'
        -- a fixed ev_extra1 is how a renamed table's truncation gets its global name
        when _o.fields <> '{}' and _o.fields <> '{ev_extra1}' then 'Custom expressions do not make sense for truncater trigger'
    end;

    select n.nspname, c.relname, c.relnatts into _p.rel_schema, _p.rel_name, _p.last_attnum
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = i_relid;
    _p.table_text := _p.rel_schema || '.' || _p.rel_name;
    if strpos(_p.rel_schema, '.') > 0 and 'ev_extra1' <> all (_o.fields) and not _o.deny then
        raise exception 'changes of table %.% cannot be logged: the name of its schema contains a dot',
                quote_ident(_p.rel_schema), quote_ident(_p.rel_name)
            using errcode = 'invalid_name',
                  hint = 'ev_extra1 is read up to its first dot as the schema. Rename the schema or give ev_extra1= in the trigger.';
    end if;

    -- key: in the order of the index
    _p.identity_index := coalesce(pg_get_replica_identity_index(i_relid), 0::oid);
    _p.key_index := coalesce((select x.indexrelid from pg_index x where x.indrelid = i_relid and x.indisprimary), 0::oid);
    _p.key_names := array(
        select quote_ident(a.attname)
          from pg_index x, unnest(x.indkey::int2[]) with ordinality k (attnum, nr), pg_attribute a
         where x.indexrelid = _p.key_index
           and k.nr <= x.indnkeyatts
           and a.attrelid = i_relid and a.attnum = k.attnum
         order by k.nr);
    if _o.pkey is not null then
        _key := string_to_array(_o.pkey, ',');
        _p.key_text := _o.pkey;
    else
        select coalesce(array_agg(a.attname::text order by k.nr), '{}') into _key
          from pg_index x, unnest(x.indkey::int2[]) with ordinality k (attnum, nr), pg_attribute a
         where x.indexrelid = _p.key_index
           and k.nr <= x.indnkeyatts
           and a.attrelid = i_relid and a.attnum = k.attnum;
        _p.key_text := array_to_string(_key, ',');
        if i_kind = 'logutriga' and 'ev_type' <> all (_o.fields) and not _o.deny
           and strpos(array_to_string(_key, ''), ',') > 0 then
            raise exception 'changes of table %.% cannot be logged: the name of a key column contains a comma',
                    quote_ident(_p.rel_schema), quote_ident(_p.rel_name)
                using errcode = 'invalid_name',
                      detail = 'Key columns: ' || (select string_agg(quote_ident(k), ', ') from unnest(_key) k),
                      hint = 'ev_type lists key columns separated by commas. Rename the column or use pgq.jsontriga.';
        end if;
    end if;
    _p.has_key := _key <> '{}';
    if i_kind = 'jsontriga' then
        _p.key_text := '[' || coalesce((select string_agg(to_json(k)::text, ',' order by nr)
                                          from unnest(case when _o.pkey = '' then '{""}' else _key end) with ordinality u (k, nr)), '') || ']';
    end if;

    -- columns
    _ignored := (select coalesce(array_agg(btrim(i)), '{}') from unnest(string_to_array(_o.ignored, ',')) i);
    _key := (select coalesce(array_agg(btrim(k)), '{}') from unnest(_key) k);
    _p.cols := '{}';
    _p.types := '{}';
    _p.role := '{}';
    _p.is_key := '{}';
    _p.class := '{}';
    _p.label := '{}';
    for _c in
        select a.attname::text as name, quote_ident(a.attname) as ident, a.atttypid as type
          from pg_attribute a
         where a.attrelid = i_relid and a.attnum > 0 and not a.attisdropped
           -- triggers do not see what is virtual
           and a.attgenerated <> 'v'
         order by a.attnum
    loop
        if starts_with(_c.name, '_pgq_ev_') and _c.name !~ '^_pgq_ev_(type|data|extra[1-4])$' then
            raise exception 'Unknown magic column: %', _c.name using errcode = 'invalid_name';
        end if;
        _p.cols := _p.cols || _c.name;
        _p.types := _p.types || _c.type;
        _p.role := _p.role || case when starts_with(_c.name, '_pgq_ev_') then 'm'
                                   when _c.name = any (_ignored) then 'i'
                                   else 'd' end;
        _p.is_key := _p.is_key || (_c.name = any (_key));
        _p.label := _p.label || case i_kind
            when 'logutriga' then pgq._urlencode(_c.name)
            when 'sqltriga' then _c.ident
            else to_json(_c.name)::text || ':' end;
        _p.class := _p.class || case
            when i_kind = 'jsontriga' and not starts_with(_c.name, '_pgq_ev_') then
                case when _c.type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
                                      'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) then 'n'
                     when _c.type = 'bool'::regtype then 'b'
                     else 's' end
            when _c.type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'bool'::regtype,
                             'numeric'::regtype, 'uuid'::regtype) then 'n'
            else 's' end;

        _types := _types || ('pg_catalog.pg_typeof(($1).' || _c.ident || ')');
        for _x in select * from (values (1), (2)) v (nr) loop
            _text := '($' || _x.nr || ').' || _c.ident;
            if i_kind = 'jsontriga' and _p.class[cardinality(_p.class)] = 'n'
               and _c.type in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) then
                _text := 'pg_catalog.textin(pg_catalog.json_out(pg_catalog.to_json(' || _text || ')))';
            else
                _text := pgq._column_text(_c.type, _text);
            end if;
            if _x.nr = 1 then
                _new := _new || _text;
            else
                _old := _old || _text;
            end if;
        end loop;

        _checked := i_kind = 'sqltriga' or _o.ignored is not null or _c.name = any (_key);
        _equal := _equal || case when _checked
            then pgq._column_equal(_c.type, '($1).' || _c.ident, '($2).' || _c.ident) else 'null' end;
    end loop;
    _p.compare := i_kind = 'sqltriga' or _o.ignored is not null;
    if i_kind <> 'jsontriga' then
        _p.pairs := (select coalesce(string_agg(replace(l, '%', '%%') || '=%' || nr::text || '$s', '&' order by nr), '')
                       from unnest(_p.label, _p.role) with ordinality u (l, r, nr) where r = 'd');
    end if;

    _p.row_sql := 'select array[' || array_to_string(_types, ',') || ']::pg_catalog.oid[],array['
               || array_to_string(_new, ',') || ']::pg_catalog.text[]';
    _p.update_sql := _p.row_sql || ',array[' || array_to_string(_old, ',') || ']::pg_catalog.text[],array['
                  || array_to_string(_equal, ',') || ']::pg_catalog.bool[]';

    -- format() takes 99 values; a separator inside of a value is noticed by the count of pieces
    if i_kind <> 'jsontriga' and cardinality(_p.cols) between 1 and 99 then
        _text := (select string_agg('($1).' || quote_ident(c), ',' order by nr) from unnest(_p.cols) with ordinality u (c, nr));
        _p.fast_sql := 'select pg_catalog.format(E''%s' || repeat('\x01%s', cardinality(_p.cols) - 1) || ''',' || _text || ')';
        _text := (select string_agg('($2).' || quote_ident(c), ',' order by nr)
                    from unnest(_p.cols, _p.is_key) with ordinality u (c, is_key, nr) where is_key);
        if _text is not null and not _p.compare and not _p.backup then
            _p.fast_key_sql := _p.fast_sql || ',pg_catalog.format(E''%s'
                || repeat('\x01%s', (select count(*)::int4 from unnest(_p.is_key) k where k) - 1) || ''',' || _text || ')';
        end if;
    end if;

    _p.over_field := _o.fields;
    _p.over_sql := '{}';
    _p.over_const := '{}';
    foreach _text in array _o.exprs loop
        select * into _x from pgq._trigger_expression(_text, _p.cols);
        _p.over_sql := _p.over_sql || _x.o_sql;
        _p.over_const := _p.over_const || _x.o_const;
        if _x.o_sql is not null then
            _p.truncate_error := coalesce(_p.truncate_error,
                                          'Custom expressions do not make sense for truncater trigger');
        end if;
    end loop;

    -- A key that has become deferrable: a new one, so the plan is made anew.  The trigger that keeps the order is there where events are to be repeated exactly;
    -- made by hand, triggers log as the original's do.
    if pg_trigger_depth() > 0
       and exists (select 1 from pg_trigger t join pg_proc f on f.oid = t.tgfoid
                    where t.tgrelid = i_relid and starts_with(t.tgname, '!') and t.tgqual is not null and f.proname = i_kind and f.pronamespace = 'pgq'::regnamespace
                      and t.tgargs = _args) then
        perform pgq._trigger_check_key(i_relid, i_args);
    end if;

    -- Keep it, if this really is a trigger of that table, and if nobody else is at it: an application never waits here.
    if exists (select 1 from pg_trigger t
                where t.tgrelid = i_relid
                  and t.tgargs = _args)
       and pg_try_advisory_xact_lock('pgq.trigger_plan'::regclass::oid::int4, i_relid::int8::bit(32)::int4)
    then
        begin
            delete from pgq.trigger_plan t
             where (t.relid = i_relid and t.kind = i_kind and t.args = i_args)
                or not exists (select 1 from pg_class c where c.oid = t.relid);
            insert into pgq.trigger_plan select _p.*;
        exception
            when serialization_failure then
                null;   -- kept by somebody this snapshot does not see
        end;
    end if;
    return _p;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
