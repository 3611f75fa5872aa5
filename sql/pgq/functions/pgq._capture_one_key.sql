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
-- Inside of a SECURITY DEFINER function the writer is not who has deferred those, so nothing else may have the name.  A transaction with an old snapshot cannot
-- be sure of that.
--
-- Errors:
--      unique_violation, exclusion_violation
--      insufficient_privilege: no USAGE of the schema
--      feature_not_supported: another constraint has the name; nothing checks it
--      serialization_failure: altered after the snapshot was taken
declare
    _key constant text[] := pgq._capture_key(tg_relid, tg_argv);
    _schema name;
    _name name;
    _message text;
    _detail text;
begin
    if current_setting('session_replication_role') = 'local'
       or current_setting('skytools.apply_token', true) <> '' and pgq._apply_allowed(tg_argv[0]) then
        return null;
    elsif current_setting('session_replication_role') = 'replica' then
        raise exception 'the deferrable key of table % is not checked in sessions with session_replication_role = replica', tg_relid::regclass
            using errcode = 'feature_not_supported', hint = 'Have the triggers of capture enabled as usual, not ALWAYS, or make the key NOT DEFERRABLE.';
    end if;
    for _schema, _name in
        select n.nspname, o.conname
          from pg_constraint o join pg_namespace n on n.oid = o.connamespace
         where o.conrelid = tg_relid and o.contype in ('p', 'u', 'x') and o.condeferrable
           and _key @> array(select a.attname::text from pg_attribute a where a.attrelid = tg_relid and a.attnum = any (o.conkey))
    loop
        if not has_schema_privilege(_schema, 'usage') then
            raise exception 'the deferrable key of table % cannot be checked: role % may not use schema %', tg_relid::regclass, quote_ident(current_user), quote_ident(_schema)
                using errcode = 'insufficient_privilege', hint = format('grant usage on schema %I to %I, or make the key NOT DEFERRABLE.', _schema, current_user);
        elsif (select count(*) from pg_constraint o join pg_namespace n on n.oid = o.connamespace where o.conname = _name and n.nspname = _schema and o.condeferrable) <> 1 then
            raise exception 'the deferrable key of table % cannot be checked: another constraint in schema % has its name, %', tg_relid::regclass, quote_ident(_schema), quote_ident(_name)
                using errcode = 'feature_not_supported', hint = format('Give one of them another name: alter table %s rename constraint %I to ..., or make the key NOT DEFERRABLE.', tg_relid::regclass, _name);
        elsif current_user <> session_user and current_setting('transaction_isolation') !~ '^read ' then
            raise exception 'the deferrable key of table % cannot be checked for another role in a transaction that is not READ COMMITTED', tg_relid::regclass
                using errcode = 'feature_not_supported', hint = 'Insert in a READ COMMITTED transaction, or make the key NOT DEFERRABLE.';
        end if;
        execute format('set constraints %I.%I immediate', _schema, _name);
    end loop;
    return null;
exception
when undefined_object then
    -- only a transaction whose snapshot is older sees the constraint
    raise serialization_failure using
        message = format('table %s was altered after the snapshot of this transaction was taken', tg_relid::regclass), hint = 'Run the transaction again.';
when unique_violation or exclusion_violation then
    get stacked diagnostics _message = message_text, _detail = pg_exception_detail;
    raise exception using errcode = sqlstate,
        message = _message, detail = _detail, schema = tg_table_schema, table = tg_table_name, constraint = _name,
        hint = format('Changes of table %s are captured, and events tell its rows by this key: no two may have it when a statement has ended, though it is deferrable. '
                      'Delete the one before the other is inserted.', tg_relid::regclass);
end;
-- planned for each row, as it would be otherwise, the look at catalogs takes three times as long
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp set plan_cache_mode = force_generic_plan;

create or replace function pgq._capture_key(i_table oid, i_args text[])
returns text[] as $$
-- The columns by which events tell rows of a table; null for none.
--
-- Parameters:
--      i_args      - of the trigger that captures: queue, options
begin
    return coalesce((select array(select btrim(k) from unnest(string_to_array(substr(a, 6), ',')) k)
                       from unnest(i_args) with ordinality u (a, nr) where starts_with(a, 'pkey=') order by nr desc limit 1),
                    nullif(pgq._capture_never_null(i_table), '{}'));
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_swappable(i_table oid, i_key text[])
returns boolean as $$
-- Two rows may have one key for a while: all that keeps them from it is DEFERRABLE.
--
-- Parameters:
--      i_key       - names of columns, by which events tell rows
    with unique_index as (
        select x.indimmediate
          from pg_index x
         -- another exclusion constraint may let two rows have it
         where x.indrelid = i_table and (x.indisunique or x.indisexclusion and not x.indimmediate) and x.indisvalid and x.indpred is null and x.indexprs is null
           -- columns that are only included in it do not count
           and i_key @> array(select a.attname::text from unnest(x.indkey::int2[]) with ordinality k (attnum, nr)
                                     join pg_attribute a on a.attrelid = i_table and a.attnum = k.attnum
                               where k.nr <= x.indnkeyatts)
    )
    select coalesce(not bool_or(u.indimmediate), false) from unique_index u;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_key_checked(i_table oid, i_function name)
returns boolean as $$
-- Whether triggers of a table have its key checked before those that log inserts by a function.
--
-- While the constraint is not deferred it is checked by a trigger of its own, which must come before, too.
begin
    return exists (
        select 1
          from pg_trigger own join pg_proc f on f.oid = own.tgfoid and f.proname = i_function and f.pronamespace = 'pgq'::regnamespace
         where own.tgrelid = i_table and own.tgtype & 7 = 5 and own.tgenabled <> 'D'
        having count(*) > 0
           and bool_and(own.tgname > pgq._capture_constraint_triggers()
                        and exists (select 1 from pg_trigger t
                                     where t.tgrelid = i_table and t.tgfoid = 'pgq._capture_one_key()'::regprocedure and t.tgtype = 5 and t.tgqual is null
                                       and t.tgname < own.tgname and t.tgargs = own.tgargs
                                       and (t.tgenabled = 'A' or t.tgenabled = 'O' and own.tgenabled = 'O')
                                       -- an old snapshot shows one that was dropped or disabled since
                                       and (t.xmax = '0'::xid or pgq._capture_xid_status(t.xmax) is distinct from 'committed'))));
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_constraint_triggers()
returns name as $$
-- What no name of a trigger sorts behind by which PostgreSQL checks a DEFERRABLE constraint: PK_ConstraintTrigger_N, Unique_ConstraintTrigger_N.
    select 'Unique_ConstraintTrigger_~'::name;
$$ language sql immutable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_unchecked()
returns text as $$
    select 'the key of this table is deferrable, and no trigger has it checked when a statement has ended';
$$ language sql immutable;

create or replace function pgq._capture_pending(i_xmin xid)
returns boolean as $$
-- Whether the insert of a row that is about to be changed may still have to be logged: this transaction has written it, and a statement around this
-- one may be the one that did.  Then another row may have its key.
--
-- Parameters:
--      i_xmin      - who wrote it
declare
    _context text;
begin
    get diagnostics _context = pg_context;
    -- this function and its caller: the client's own statement finds all inserts logged.  log_parameter_max_length_on_error adds one about it.
    return split_part(_context, chr(10), 3) !~ '^((unnamed portal|portal ".*") with parameters: .*)?$' and pgq._capture_own(i_xmin);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_own(i_xmin xid)
returns boolean as $$
-- Whether a row that is locked was written by this transaction.
--
-- Numbers of transactions that others have begun later are younger, too; but those have ended, or it would not be locked.
begin
    return pgq._capture_full_xid(i_xmin) >= pg_current_xact_id()::text::int8 and pgq._capture_xid_status(i_xmin) = 'in progress';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_full_xid(i_xid xid)
returns int8 as $$
-- Number of a transaction with its epoch: the one nearest to this transaction's.
declare
    _current int8 := pg_current_xact_id()::text::int8;
    _distance int8 := i_xid::text::int8 - (_current & 4294967295);
begin
    if _distance < -2147483648 then
        _distance := _distance + 4294967296;
    elsif _distance > 2147483648 then
        _distance := _distance - 4294967296;
    end if;
    return _current + _distance;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_xid_status(i_xid xid)
returns text as $$
-- What pg_xact_status() says of a transaction; null for none, for one long ago, and for one that is still to come (a frozen row, older than numbers go).
declare
    _xid int8 := pgq._capture_full_xid(i_xid);
begin
    if _xid < 3 or i_xid = '0'::xid then
        return null;
    end if;
    return pg_xact_status(_xid::text::xid8);
exception when invalid_parameter_value then
    return null;
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;
