-- Takes events that were written too early out of the queue, and writes them behind the one that should have come first.

create or replace function pgq._capture_written(i_prefix text, i_pages int4)
returns text as $$
-- Writes FROM and WHERE for the events e that this transaction has written about a table: $1 is ev_extra1, $2 the columns of the key as they
-- stand in the type of events.
--
-- Parameters:
--      i_pages     - look through so many pages only, where the last events are as a rule; null for all
    select format('%s e where %s e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2, ''D:'' || $2)',
                  case when i_pages is null then i_prefix else 'only ' || t.name end,
                  case when i_pages is null then ''
                       else format('e.ctid >= ''(%s,0)'' and', greatest(pg_relation_size(t.name::regclass) / current_setting('block_size')::int8 - i_pages, 0)) end)
      from (select i_prefix || '_' || q.queue_cur_table from pgq.queue q where q.queue_data_pfx = i_prefix) t (name);
$$ language sql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_take_out(i_written text, i_extra text, i_key_text text, i_rows text[], i_since int8[])
returns text[] as $$
-- Takes events of rows out of the queue.
--
-- Parameters:
--      i_written   - what pgq._capture_written returned
--      i_rows      - keys, as events write them
--      i_since     - for each, the first event
-- Returns:
--      type, data and ev_extra2 of each, in their order
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _moved text[];
begin
    execute format('with gone as (
                        delete from %s and exists (select 1 from unnest($3::text[], $4::int8[]) u (r, s)
                                                    where e.ev_id >= u.s and string_to_array(e.ev_data, ''&'') @> string_to_array(u.r, ''&''))
                        returning e.ev_id, array[e.ev_type, e.ev_data, e.ev_extra2] as event)
                    select array_agg(g.event[n] order by g.ev_id, n) from gone g, generate_series(1, 3) n', i_written)
       into _moved using i_extra, i_key_text, i_rows, i_since;
    return coalesce(_moved, '{}');
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off set enable_seqscan = on;

create or replace function pgq._capture_take_back(i_prefix text, i_extra text, i_key_text text, i_key text, i_held text[], i_data text, i_command int8, i_taken text[])
returns text[] as $$
-- Takes the events out of the queue by which a row has got what it has.
--
-- Only if the row as it is now is logged already.  If it is not, its event is still to come, and will come in the right order.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the row's key, as events write it
--      i_held      - what it has, likewise: one or more unique values
--      i_data      - all of it, likewise
--      i_command   - the command of this transaction that wrote it; null where that is not to be known
--      i_taken     - events that have been taken out already
-- Returns:
--      type, data and ev_extra2 of the event to write in their place; empty if none was taken out
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _pages int4;
    _e record;
    _parts oid[];
    _places tid[];
    _op text;
    _before text;
    _complete boolean;
begin
    if exists (select 1 from unnest(i_taken) t where string_to_array(t, '&') @> string_to_array(i_key, '&')) then
        return '{}';
    end if;
    -- what a trigger has done just now is among the last events that were written, as a rule; to look through all those of a large transaction
    -- for each of its rows would take hours
    foreach _pages in array '{16,null}'::int4[] loop
        _parts := '{}';
        _places := '{}';
        _op := 'U';
        _complete := false;
        for _e in execute format('select e.tableoid as part, e.ctid as place, "left"(e.ev_type, 1) as op, e.ev_data as data, e.ev_extra2 as before,
                                         -- once deleted in a savepoint that is gone, it has another number there
                                         case when e.xmax = ''0''::xid then e.cmin::text::int8 end as command,
                                         exists (select 1 from unnest($4::text[]) h where string_to_array(e.ev_data, ''&'') @> string_to_array(h, ''&'')) as has
                                    from %s and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')
                                   order by e.ev_id desc', pgq._capture_written(i_prefix, _pages))
                  using i_extra, i_key_text, i_key, i_held
        loop
            if _places = '{}' and (_e.op = 'D' or _e.data <> i_data or _e.command <= i_command) then
                return '{}';
            end if;
            if _e.has and _e.op <> 'D' then
                _parts := _parts || _e.part;
                _places := _places || _e.place;
                _op := _e.op;
                _before := _e.before;
            end if;
            _complete := _e.op <> 'U' or not _e.has;
            exit when _complete;
        end loop;
        exit when _complete;
    end loop;
    for _n in 1 .. cardinality(_places) loop
        execute format('delete from only %s e where e.ctid = $1', _parts[_n]::regclass) using _places[_n];
    end loop;
    return case when _places = '{}' then '{}' else array[_op || ':' || i_key_text, i_data, _before] end;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off set enable_seqscan = on;

create or replace function pgq._capture_overtaken(i_prefix text, i_extra text, i_key_text text, i_key text, i_data text, i_freed text[], i_own boolean)
returns text[] as $$
-- Takes the events out of the queue that triggers have written too early: what rows have done since they took a value of a row whose
-- change is only now logged.
--
-- These rows may be gone again, so they are not looked for in the table, as pgq._capture_take_back() has it, but in
-- the last events only.
--
-- Parameters:
--      i_prefix, i_extra, i_key_text   - as above
--      i_key       - key of the row whose change is logged, as events write it
--      i_data      - all of it before that change, likewise
--      i_freed     - unique values that it had, likewise
--      i_own       - it was written by this transaction
-- Returns:
--      type, data and ev_extra2 of each
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _last text := pgq._capture_written(i_prefix, 3);
    _key constant text[] := string_to_array(i_key, '&');
    _names constant text[] := array(select split_part(k, '=', 1) from unnest(_key) k);
    _ids int8[];
    _ops text[];
    _datas text[];
    -- the rows that have had the key, one after the other: their first events, what the log says of them last, and that it does not say of their end
    _first int8[] := case when i_own then '{}' else '{0}' end;
    _data text[] := case when i_own then '{}' else array[i_data] end;
    _open boolean[] := case when i_own then '{}' else '{true}' end;
    _this int4;
    _next int8;
    _rows text[];
    _since int8[];
begin
    execute format('select array_agg(e.ev_id order by e.ev_id), array_agg("left"(e.ev_type, 1) order by e.ev_id), array_agg(e.ev_data order by e.ev_id)
                      from %s and string_to_array(e.ev_data, ''&'') && string_to_array(array_to_string($3, ''&''), ''&'')', _last)
       into _ids, _ops, _datas using i_extra, i_key_text, i_freed || i_key;
    for _n in 1 .. coalesce(cardinality(_ids), 0) loop
        continue when not string_to_array(_datas[_n], '&') @> _key;
        if _ops[_n] = 'I' or _first = '{}' then
            _first := _first || _ids[_n];
            _data := _data || _datas[_n];
            _open := _open || (_ops[_n] <> 'D');
        elsif _ops[_n] = 'U' then
            _data[cardinality(_data)] := _datas[_n];
        else
            _open[cardinality(_open)] := false;
        end if;
    end loop;
    select u.nr into _this
      from unnest(_open, _data) with ordinality u (open, data, nr)
     where u.open
     order by case when i_own then u.data = i_data else u.nr = 1 end desc, u.nr desc limit 1;
    _next := _first[_this + 1];

    select array_agg(r.key), array_agg(r.since) into _rows, _since
      from (select i_key, _next where _next is not null
            union all
            select k.key, min(e.id)
              from unnest(_ids, _ops, _datas) e (id, op, data),
                   unnest(i_freed) f,
                   lateral (select array_to_string(array(select d from unnest(string_to_array(e.data, '&')) d where split_part(d, '=', 1) = any (_names)), '&')) k (key)
             where e.op <> 'D' and string_to_array(e.data, '&') @> string_to_array(f, '&') and not string_to_array(e.data, '&') @> _key
                   -- before the row took it itself, somebody else may have had it
                   and e.id > coalesce((select max(o.id) from unnest(_ids, _ops, _datas) o (id, op, data)
                                         where o.op <> 'D' and string_to_array(o.data, '&') @> _key and string_to_array(o.data, '&') @> string_to_array(f, '&')
                                               and o.id >= _first[_this] and (_next is null or o.id < _next)), 0)
             group by k.key) r (key, since);
    if _rows is null then
        return '{}';
    end if;
    return pgq._capture_take_out(_last, i_extra, i_key_text, _rows, _since);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off set enable_seqscan = on;

create or replace function pgq._capture_later(i_prefix text, i_extra text, i_key_text text, i_key text, i_old text, i_new text, i_absent boolean, i_certain boolean)
returns text[] as $$
-- Takes those events of a row out of the queue that tell what became of it after a change that is only now logged.
--
-- For a table whose rows may not be looked at; otherwise the change is logged as what the row is now.  Where events with the same data make it
-- doubtful which came first, the change goes before them: they have the whole row.
--
-- Parameters:
--      i_prefix, i_extra, i_key_text   - as above
--      i_key       - the row's key after the change, as events write it
--      i_old       - all of it before an update that left the key; null if this transaction has not written it
--      i_new       - all of it after the change
--      i_absent    - there was no row of this key before
--      i_certain   - it has been updated since; else it may have been deleted, or locked only
-- Returns:
--      type, data and ev_extra2 of each
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _ids int8[];
    _ops text[];
    _datas text[];
    _there boolean := false;
    _from int8;
    _written text := pgq._capture_written(i_prefix, null);
begin
    execute format('select array_agg(e.ev_id order by e.ev_id), array_agg("left"(e.ev_type, 1) order by e.ev_id), array_agg(e.ev_data order by e.ev_id)
                      from %s and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')', _written)
       into _ids, _ops, _datas using i_extra, i_key_text, i_key;
    if i_old is not null then
        select min(u.id) into _from
          from unnest(_ids) u (id)
         where u.id > (select max(a.id) from unnest(_ids, _ops, _datas) a (id, op, data)
                        where a.op <> 'D' and a.data = i_old and (not i_certain or a.id < _ids[cardinality(_ids)]));
    elsif not i_absent then
        _from := _ids[1];
    else
        for _n in 1 .. coalesce(cardinality(_ids), 0) loop
            if _there or _ops[_n] = 'I' then
                _there := _ops[_n] <> 'D';
            elsif _n > 1 or _ops[_n] = 'U' or _datas[_n] = i_new then
                _from := _ids[_n];
                exit;
            end if;
        end loop;
    end if;
    if _from is null then
        return '{}';
    end if;
    return pgq._capture_take_out(_written, i_extra, i_key_text, array[i_key], array[_from]);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off set enable_seqscan = on;

create or replace function pgq._capture_behind(i_queue text, i_extra text, i_taken text[])
returns void as $$
-- Writes the events of rows that have taken unique values, behind the one that says that these are free.
--
-- Parameters:
--      i_taken     - type, data and ev_extra2 of each in turn
begin
    for _n in 1 .. coalesce(cardinality(i_taken), 0) by 3 loop
        perform pgq._capture_event(i_queue, i_taken[_n], i_taken[_n + 1], i_extra, i_taken[_n + 2]);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
