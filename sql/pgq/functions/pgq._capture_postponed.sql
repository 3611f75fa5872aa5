-- Keys that are DEFERRABLE: two rows may have one for a while, and events tell rows by nothing else.

create or replace function pgq._capture_postponed(i_prefix text, i_extra text, i_key_text text, i_key text, i_data text, i_own boolean)
returns text[] as $$
-- Makes a delete of one of several rows that have a key possible.
--
-- What this transaction has logged of rows with the key, nobody has seen yet: it has still to commit.  A row that it inserted itself is taken out of the
-- log with its events; what it inserted before it deleted the row that had the key first, goes behind the delete.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the key, as events write it
--      i_data      - all of the deleted row, likewise
--      i_own       - this transaction may have inserted it
-- Returns:
--      type, data and ev_extra2 of each event to be written behind the delete; null if there is nothing to be written, the delete neither
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _written constant text := format('%s e where e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2, ''D:'' || $2)'
                                     ' and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')', i_prefix);
    _ids int8[];
    _ops text[];
    _datas text[];
    _begin int4;        -- of what was written since the last delete
    _first int4;
    _last int4;
    _moved text[];
begin
    execute format('select array_agg(e.ev_id order by e.ev_id), array_agg(left(e.ev_type, 1) order by e.ev_id), array_agg(e.ev_data order by e.ev_id) from %s', _written)
       into _ids, _ops, _datas using i_extra, i_key_text, i_key;
    _begin := coalesce((select max(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.op = 'D'), 0) + 1;
    if i_own then
        -- equal rows are as good as each other
        _last := (select max(u.nr) from unnest(_datas) with ordinality u (data, nr) where u.nr >= _begin and u.data = i_data);
        _first := (select max(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.nr between _begin and _last and u.op = 'I');
        if _first is null then
            return '{}';
        end if;
        execute format('delete from %s and e.ev_id = any ($4)', _written) using i_extra, i_key_text, i_key, _ids[_first:_last];
        return null;
    end if;
    _first := (select min(u.nr) from unnest(_ops) with ordinality u (op, nr) where u.nr >= _begin and u.op = 'I');
    if _first is null then
        return '{}';
    end if;
    execute format('with gone as (
                        delete from %s and e.ev_id = any ($4)
                        returning e.ev_id, array[e.ev_type, e.ev_data, e.ev_extra2] as event
                    ) select array_agg(g.event[n] order by g.ev_id, n) from gone g, generate_series(1, 3) n', _written)
       into _moved using i_extra, i_key_text, i_key, _ids[_first:];
    return _moved;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off;

create or replace function pgq._capture_behind(i_queue text, i_extra text, i_taken text[])
returns void as $$
-- Writes events once more.
--
-- Parameters:
--      i_taken     - type, data and ev_extra2 of each in turn
begin
    for _n in 1 .. coalesce(cardinality(i_taken), 0) by 3 loop
        perform pgq._capture_event(i_queue, null, i_taken[_n], i_taken[_n + 1], i_extra, i_taken[_n + 2]);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
