-- Keys that are DEFERRABLE: two rows may have one for a while, and events tell rows by nothing else.
--
-- What is logged must be such that no two rows have one key at a time.  Nothing in the log tells whether they have, and nobody looks at captured tables
-- (docs/design/order-of-capture.md); the constraint itself knows.  So it is checked when a statement that inserts has ended, before its events are written.

create or replace function pgq._capture_one_key()
returns trigger as $$
-- Has the key of a row that was inserted checked now, whatever SET CONSTRAINTS has said: AFTER INSERT, before the trigger that captures.
--
-- With the rights of the writer: SET CONSTRAINTS fires what else has been deferred under the name of the constraint, which anybody can give
-- to a constraint trigger of his own.
--
-- Parameters:
--      queue, options of pgq.capture_table     - those of the trigger that captures
-- Errors:
--      unique_violation
--      insufficient_privilege: no USAGE of the schema
declare
    _key constant text[] := pgq._capture_key(tg_relid, tg_argv);
    _schema name;
    _name name;
    _message text;
    _detail text;
begin
    if current_setting('session_replication_role') = 'local' then
        return null;
    end if;
    for _schema, _name in
        select n.nspname, o.conname
          from pg_constraint o join pg_namespace n on n.oid = o.connamespace
         where o.conrelid = tg_relid and o.contype in ('p', 'u') and o.condeferrable
           and _key @> array(select a.attname::text from pg_attribute a where a.attrelid = tg_relid and a.attnum = any (o.conkey))
    loop
        execute format('set constraints %I.%I immediate', _schema, _name);
    end loop;
    return null;
exception when unique_violation then
    get stacked diagnostics _message = message_text, _detail = pg_exception_detail;
    raise unique_violation using
        message = _message, detail = _detail, schema = tg_table_schema, table = tg_table_name, constraint = _name,
        hint = format('Changes of table %s are captured, and events tell its rows by this key: no two may have it when a statement has ended, though it is deferrable. '
                      'Delete the one before the other is inserted.', tg_relid::regclass);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_key(i_table oid, i_args text[])
returns text[] as $$
-- The columns by which events tell rows of a table; null for none.
--
-- Parameters:
--      i_args      - of the trigger that captures: queue, options
    select coalesce((select array_agg(btrim(k)) from unnest(i_args) a, unnest(string_to_array(substr(a, 6), ',')) k where starts_with(a, 'pkey=')),
                    (select array_agg(a.attname::text)
                       from pg_index x join pg_attribute a on a.attrelid = x.indrelid and a.attnum = any (x.indkey::int2[])
                      where x.indrelid = i_table and x.indisprimary));
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_swappable(i_table oid, i_key text[])
returns boolean as $$
-- Two rows may have one key for a while: all that keeps them from it is DEFERRABLE.
--
-- Parameters:
--      i_key       - names of columns, by which events tell rows
    with unique_index as (
        select x.indimmediate
          from pg_index x
         where x.indrelid = i_table and x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null
           -- columns that are only included in it do not count
           and i_key @> array(select a.attname::text from unnest(x.indkey::int2[]) with ordinality k (attnum, nr)
                                     join pg_attribute a on a.attrelid = i_table and a.attnum = k.attnum
                               where k.nr <= x.indnkeyatts)
    )
    select coalesce(not bool_or(u.indimmediate), false) from unique_index u;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_key_checked(i_table oid)
returns boolean as $$
-- Whether a trigger of a table has its key checked.
begin
    return exists (select 1 from pg_trigger t
                    where t.tgrelid = i_table and t.tgfoid = 'pgq._capture_one_key()'::regprocedure and t.tgtype = 5 and t.tgenabled in ('O', 'A') and t.tgqual is null);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_unchecked()
returns text as $$
    select 'the key of this table is deferrable, and no trigger has it checked when a statement has ended';
$$ language sql immutable;

create or replace function pgq._capture_pending(i_prefix text, i_extra text, i_key_text text, i_data text, i_xmin xid, i_cmin cid)
returns boolean as $$
-- Whether the insert of a row that is about to be changed may still have to be logged: the statement that made the row has not ended,
-- and another row may have its key.
--
-- Parameters:
--      i_prefix    - of the names of the queue's event tables
--      i_extra     - ev_extra1
--      i_key_text  - columns of the key, as they stand in the type of events
--      i_data      - all of the row, as events write it; null if that is not known
--      i_xmin      - who wrote it
--      i_cmin      - in which command; null where not all changes are logged
-- Returns:
--      false where the log has the row as it is, and inside of nothing but the client's own statement
declare
    _context text;
    _pending boolean;
begin
    get diagnostics _context = pg_context;
    -- this function and its caller
    if split_part(_context, chr(10), 3) = '' or not pgq._capture_own(i_xmin) then
        return false;
    end if;
    execute format('select not exists (select 1 from %s e where e.ev_txid = txid_current() and e.ev_extra1 = $1 and e.ev_type in (''I:'' || $2, ''U:'' || $2) and e.ev_data = $3'
                   ' and ($4 is null or e.cmin::text::int8 > $4::text::int8))', i_prefix)
       into _pending using i_extra, i_key_text, i_data, i_cmin;
    return _pending;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set jit = off;

create or replace function pgq._capture_own(i_xmin xid)
returns boolean as $$
-- Whether a row that is locked was written by this transaction.
--
-- Numbers of transactions that others have begun later are younger, too; but those have ended, or it would not be locked.
declare
    _current int8 := pg_current_xact_id()::text::int8;
    _distance int8 := i_xmin::text::int8 - (_current & 4294967295);
begin
    if _distance < -2147483648 then
        _distance := _distance + 4294967296;
    elsif _distance > 2147483648 then
        _distance := _distance - 4294967296;
    end if;
    return _distance >= 0 and pg_xact_status((_current + _distance)::text::xid8) = 'in progress';
exception when invalid_parameter_value then
    -- still to come: the row is frozen, and older than numbers go
    return false;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
