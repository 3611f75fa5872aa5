-- Keys that are DEFERRABLE: two rows may have one for a while, and events tell rows by nothing else.

create or replace function pgq._capture_postponed(i_prefix text, i_extra text, i_key_text text, i_key text, i_own boolean)
returns text[] as $$
-- Takes the events of a row out of the queue that was inserted with the key of another before that was deleted.
--
-- Nobody has seen them yet: the transaction has still to commit.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_key       - the key, as events write it
--      i_own       - the deleted row may have been inserted by this transaction
-- Returns:
--      type, data and ev_extra2 of each, to be written behind the delete
-- Tables directly manipulated:
--      delete - the queue's event tables, of this transaction's events
declare
    _written constant text := format('%s e where e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2, ''D:'' || $2)'
                                     ' and string_to_array(e.ev_data, ''&'') @> string_to_array($3, ''&'')', i_prefix);
    _moved text[];
begin
    execute format('with log as (
                        select e.ev_id as id, left(e.ev_type, 1) as op from %1$s
                    ), inserts as (
                        select l.id from log l where l.op = ''I'' and l.id > coalesce((select max(d.id) from log d where d.op = ''D''), 0)
                         order by l.id offset $4 limit 1
                    ), gone as (
                        delete from %1$s and e.ev_id >= (select i.id from inserts i)
                        returning e.ev_id, array[e.ev_type, e.ev_data, e.ev_extra2] as event
                    ) select array_agg(g.event[n] order by g.ev_id, n) from gone g, generate_series(1, 3) n', _written)
       into _moved using i_extra, i_key_text, i_key, case when i_own then 1 else 0 end;
    return coalesce(_moved, '{}');
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
