-- The numbers of events whose place in the order is not that of their writing: docs/how-capture-works.md.
--
-- A batch is read by ev_id, so the order of events is that in which their numbers were drawn.  Deletes, and updates that take nothing from
-- other rows, are written by a BEFORE trigger, which draws the number when the row is changed.  Two are written later than that:
--      an insert, by an AFTER trigger.  If its row is changed before that fires, that change draws a number for the insert first (first).
--      a change that the BEFORE trigger left to the AFTER trigger.  The latter's WHEN clause is evaluated as soon as the row
--      has been changed, and draws the number.
-- The number is kept until then in settings of the transaction, which a savepoint that is rolled back takes with it.  Everybody can set a setting
-- whose name he knows, so the names have a secret in them; nobody can list them (placeholders are not shown).  RESET ALL clears
-- them all the same: that is noticed by locks, which only the end of the transaction or savepoint releases.
--
-- Single changes pay for these functions, so they set nothing; all names in them are qualified instead.  The names of settings stand in nothing
-- but assignments of variables: PERFORM plans with the values, and debug_print_plan would show them to whoever asks.

create or replace function pgq._capture_kept(i_secret text, i_name text)
returns text as $$
-- Name of a setting that only these functions know.
    select pg_catalog.concat('skytools.x', i_secret, '_', i_name);
$$ language sql stable;    -- as concat() is: PostgreSQL does not inline it otherwise

create or replace function pgq._capture_order_setting(i_secret text, i_version tid)
returns text as $$
-- Name of the setting that keeps the numbers for versions of rows in some blocks, of any table.  A single one would grow too long; but PostgreSQL 14 and 15
-- look through all that there are whenever a function ends that sets one.
    select pg_catalog.concat('skytools.x', i_secret, '_order_',
                             pg_catalog.split_part(pg_catalog.ltrim(i_version::pg_catalog.text, '('), ',', 1)::pg_catalog.int8 operator(pg_catalog.%) 256);
$$ language sql stable;

create or replace function pgq._capture_order_table(i_function name, i_table oid, i_op text)
returns text as $$
-- What the numbers of a table begin with.  One that was written anew has other versions in the same places.
    select pg_catalog.concat('<', i_op, i_function, '/', i_table, '/', pg_catalog.pg_relation_filenode(i_table), '/');
$$ language sql stable;

create or replace function pgq._capture_order_block(i_table oid, i_version tid)
returns text as $$
-- How they go on, for one block.  A table that was created in this transaction is truncated in place; pgq.logutriga counts that.
    select pg_catalog.concat(pg_catalog.substring(pg_catalog.current_setting('skytools.truncated', true), pg_catalog.concat('#', i_table, ':([0-9]{1,9}),')),
                             pg_catalog.split_part(i_version::pg_catalog.text, ',', 1), ')');
$$ language sql stable;

create or replace function pgq._capture_order_offset(i_version tid)
returns int8 as $$
    select pg_catalog.split_part(pg_catalog.rtrim(i_version::pg_catalog.text, ')'), ',', 2)::pg_catalog.int8;
$$ language sql stable;

create or replace function pgq._capture_message()
returns text as $$
-- Which message of the client this is.
    select extract(epoch from pg_catalog.statement_timestamp())::pg_catalog.text;
$$ language sql stable;

create or replace function pgq._capture_order_lock(i_secret text, i_message text)
returns int8 as $$
-- What the numbers of all locks have in common that are taken in one message: pgq._capture_assert_kept().  The first 16 bits tell them from those of
-- anybody else, the next 31 those of messages from each other, the last 16 are free.
    select ((pg_catalog.hashtext(i_secret) operator(pg_catalog.&) 65535)::pg_catalog.int8 operator(pg_catalog.<<) 47)
           operator(pg_catalog.|) ((pg_catalog.hashtext(i_message) operator(pg_catalog.&) 2147483647)::pg_catalog.int8 operator(pg_catalog.<<) 16);
$$ language sql stable;

create or replace function pgq._capture_remember(i_function name, i_table oid, i_version tid, i_op text, i_numbers int8[])
returns void as $$
-- Keeps numbers until the event is written, or a next message of the client shows that it was.
--
-- Large statements change rows as they lie in the table, and draw numbers at equal distances, so both are kept as runs:
--      <KEY first offset + how many = first number * distance * from the first to the second number of one row>
-- the newest first.
--
-- Parameters:
--      i_numbers   - one or two
declare
    _secret pg_catalog.text;
    _setting pg_catalog.text;
    _message_setting pg_catalog.text;
    _filled_setting pg_catalog.text;
    _lock_setting pg_catalog.text;
    _key constant pg_catalog.text := pg_catalog.concat(pgq._capture_order_table(i_function, i_table, i_op), pgq._capture_order_block(i_table, i_version));
    _offset constant pg_catalog.int8 := pgq._capture_order_offset(i_version);
    _message constant pg_catalog.text := pgq._capture_message();
    _second constant pg_catalog.int8 := coalesce(i_numbers[2] operator(pg_catalog.-) i_numbers[1], 0);
    _kept pg_catalog.text;
    _run pg_catalog.text;
    _r pg_catalog.int8[];
    _distance pg_catalog.int8;
    _old pg_catalog.text;
    _lock pg_catalog.int8;
    _done pg_catalog.text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_order_setting(_secret, i_version);
    _message_setting := pgq._capture_kept(_secret, 'message');
    if (pg_catalog.current_setting(_message_setting, true) operator(pg_catalog.=) _message) is not true then
        _lock_setting := pgq._capture_kept(_secret, 'lock');
        _old := pg_catalog.current_setting(_lock_setting, true);
        if coalesce(pg_catalog.array_length(pg_catalog.string_to_array(_old, ' '), 1), 0) operator(pg_catalog.<) 8 then
            -- pgq._capture_assert_kept(); not more, since the server has room for some 64 of each transaction
            _lock := pgq._capture_order_lock(_secret, _message)
                     operator(pg_catalog.|) (pg_catalog.hashtext(pg_catalog.gen_random_uuid()::pg_catalog.text) operator(pg_catalog.&) 65535)::pg_catalog.int8;
            perform pg_catalog.pg_advisory_xact_lock_shared(_lock);
            _done := pg_catalog.set_config(_lock_setting, pg_catalog.concat(case when _old operator(pg_catalog.<>) '' then _old operator(pg_catalog.||) ' ' end, _lock), true);
        end if;
        _filled_setting := pgq._capture_kept(_secret, 'filled');
        foreach _old in array coalesce(pg_catalog.string_to_array(pg_catalog.current_setting(_filled_setting, true), ' '), '{}') loop
            _old := pgq._capture_kept(_secret, pg_catalog.concat('order_', _old));
            _done := pg_catalog.set_config(_old, '', true);
        end loop;
        _done := pg_catalog.set_config(_filled_setting, null, true);
        _done := pg_catalog.set_config(_message_setting, _message, true);
    end if;
    _kept := pg_catalog.current_setting(_setting, true);
    if (_kept operator(pg_catalog.<>) '') is not true then
        _filled_setting := pgq._capture_kept(_secret, 'filled');
        _old := pg_catalog.current_setting(_filled_setting, true);
        _done := pg_catalog.set_config(_filled_setting, pg_catalog.concat(case when _old operator(pg_catalog.<>) '' then _old operator(pg_catalog.||) ' ' end,
                                                                          pg_catalog.split_part(_setting, '_', 3)), true);
    else
        _run := pg_catalog.split_part(pg_catalog.split_part(_kept, _key, 2), '>', 1);
        if _run operator(pg_catalog.<>) '' then
            _r := pg_catalog.string_to_array(pg_catalog.translate(_run, '+=*', ',,,'), ',');
            _distance := case when _r[4] operator(pg_catalog.=) 0 then i_numbers[1] operator(pg_catalog.-) _r[3] else _r[4] end;
            if _offset operator(pg_catalog.=) (_r[1] operator(pg_catalog.+) _r[2]) and _second operator(pg_catalog.=) _r[5]
               and i_numbers[1] operator(pg_catalog.=) (_r[3] operator(pg_catalog.+) (_r[2] operator(pg_catalog.*) _distance)) then
                _done := pg_catalog.set_config(_setting, pg_catalog.replace(_kept, pg_catalog.concat(_key, _run, '>'),
                    pg_catalog.concat(_key, _r[1], '+', _r[2] operator(pg_catalog.+) 1, '=', _r[3], '*', _distance, '*', _second, '>')), true);
                return;
            end if;
        end if;
    end if;
    _done := pg_catalog.set_config(_setting, pg_catalog.concat(_key, _offset, '+1=', i_numbers[1], '*0*', _second, '>', _kept), true);
end;
$$ language plpgsql;

create or replace function pgq._capture_numbers(i_function name, i_table oid, i_version tid, i_op text, i_sequence regclass, i_take boolean)
returns int8[] as $$
-- The numbers that were kept for a change.
--
-- Parameters:
--      i_version   - the one that was inserted, or that was changed
--      i_op        - I for its insert, C for what changed it
--      i_take      - they are not kept any longer: of equal triggers, each has its own
-- Returns:
--      null if there are none
-- Errors:
--      object_not_in_prerequisite_state: what was kept was meddled with
declare
    _secret pg_catalog.text;
    _setting pg_catalog.text;
    _offset constant pg_catalog.int8 := pgq._capture_order_offset(i_version);
    _table constant pg_catalog.text := pgq._capture_order_table(i_function, i_table, i_op);
    _key constant pg_catalog.text := pg_catalog.concat(_table, pgq._capture_order_block(i_table, i_version));
    _kept pg_catalog.text;
    _run pg_catalog.text;
    _at pg_catalog.int4;
    _r pg_catalog.int8[];
    _before pg_catalog.int8;
    _numbers pg_catalog.int8[];
    _done pg_catalog.text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _setting := pgq._capture_kept(_secret, 'message');
    if pg_catalog.current_setting(_setting, true) operator(pg_catalog.=) pgq._capture_message() then
        _setting := pgq._capture_order_setting(_secret, i_version);
        _kept := pg_catalog.current_setting(_setting, true);
        -- the run that begins with it, or another
        _at := pg_catalog.strpos(_kept, pg_catalog.concat(_key, _offset, '+'));
        foreach _run in array case when _at operator(pg_catalog.>) 0
                                   then array[pg_catalog.split_part(pg_catalog.substr(_kept, _at operator(pg_catalog.+) pg_catalog.length(_key)), '>', 1)]
                                   else coalesce((pg_catalog.string_to_array(_kept, _key))[2:], '{}') end loop
            _run := pg_catalog.split_part(_run, '>', 1);
            _r := pg_catalog.string_to_array(pg_catalog.translate(_run, '+=*', ',,,'), ',');
            if _offset operator(pg_catalog.>=) _r[1] and _offset operator(pg_catalog.<) (_r[1] operator(pg_catalog.+) _r[2]) then
                _before := _offset operator(pg_catalog.-) _r[1];
                _numbers[1] := _r[3] operator(pg_catalog.+) (_before operator(pg_catalog.*) _r[4]);
                _numbers[2] := _numbers[1] operator(pg_catalog.+) _r[5];
                if i_take then
                    _done := pg_catalog.set_config(_setting, pg_catalog.replace(_kept, pg_catalog.concat(_key, _run, '>'), pg_catalog.concat(
                        case when _before operator(pg_catalog.>) 0
                             then pg_catalog.concat(_key, _r[1], '+', _before, '=', _r[3], '*', _r[4], '*', _r[5], '>') end,
                        case when (_before operator(pg_catalog.+) 1) operator(pg_catalog.<) _r[2]
                             then pg_catalog.concat(_key, _offset operator(pg_catalog.+) 1, '+', _r[2] operator(pg_catalog.-) (_before operator(pg_catalog.+) 1),
                                                    '=', _numbers[1] operator(pg_catalog.+) _r[4], '*', _r[4], '*', _r[5], '>') end)), true);
                end if;
                exit;
            end if;
        end loop;
        if _numbers is null then
            -- found but for the count of TRUNCATE
            foreach _run in array coalesce((pg_catalog.string_to_array(_kept, _table))[2:], '{}') loop
                _r := pg_catalog.string_to_array(pg_catalog.translate(pg_catalog.split_part(pg_catalog.split_part(_run, ')', 2), '>', 1), '+=*', ',,,'), ',');
                if pg_catalog.split_part(pg_catalog.split_part(_run, '(', 2), ')', 1) operator(pg_catalog.=) pg_catalog.split_part(pg_catalog.ltrim(i_version::pg_catalog.text, '('), ',', 1)
                   and _offset operator(pg_catalog.>=) _r[1] and _offset operator(pg_catalog.<) (_r[1] operator(pg_catalog.+) _r[2]) then
                    perform pgq._capture_meddled(i_table);
                end if;
            end loop;
        end if;
    end if;
    if _numbers is null then
        perform pgq._capture_assert_kept(i_table);
    elsif (_numbers[1] operator(pg_catalog.>) 0 and _numbers[2] operator(pg_catalog.>=) _numbers[1]
           and _numbers[2] operator(pg_catalog.<=) pg_catalog.pg_sequence_last_value(i_sequence)) is not true then
        -- one that is still to be drawn must not get into the log
        perform pgq._capture_meddled(i_table);
    end if;
    return _numbers;
end;
$$ language plpgsql;

create or replace function pgq._capture_assert_kept(i_table oid)
returns void as $$
-- Asserts that a number that is missing was never drawn: that settings were not cleared in this message after some had been kept.
--
-- Each message that keeps any takes a lock of the transaction, as far as eight go, and a setting lists them.  RESET ALL takes settings, not locks.
-- A lock of this message that is not in the list was taken before one.  Where there are eight, this message may have kept numbers without a
-- lock, so a list that is gone, or that begins in this message, may have been lost in the middle of it.
-- Locks are looked at once, and again after RESET ALL only, since that costs the more, the more of them the server has.
--
-- Errors:
--      object_not_in_prerequisite_state
declare
    _secret text;
    _sure_setting text;
    _message int8;
    _list int8[];
    _locks int8[];
    _done text;
begin
    select s.secret into _secret from pgq.capture_secret s;
    _sure_setting := pgq._capture_kept(_secret, 'sure');
    if current_setting(_sure_setting, true) = 'yes' then
        return;
    end if;
    _message := pgq._capture_order_lock(_secret, pgq._capture_message());
    _list := coalesce(string_to_array(nullif(current_setting(pgq._capture_kept(_secret, 'lock'), true), ''), ' ')::int8[], '{}');
    _locks := array(select k.key
                      from pg_locks l, lateral (select (l.classid::int8 << 32) | l.objid::int8 as key) k
                     where l.locktype = 'advisory' and l.pid = pg_backend_pid() and l.objsubid = 1 and l.mode = 'ShareLock' and l.granted
                       and k.key >> 47 = _message >> 47 and k.key <> all (_list)
                       and l.database = (select d.oid from pg_database d where d.datname = current_database()));
    if exists (select 1 from unnest(_locks) l where l >> 16 = _message >> 16)
       or cardinality(_locks) >= 8 and (_list[1] >> 16 <> _message >> 16) is not true then
        perform pgq._capture_meddled(i_table);
    end if;
    _done := set_config(_sure_setting, 'yes', false);
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_meddled(i_table oid)
returns void as $$
-- Errors:
--      object_not_in_prerequisite_state
begin
    raise exception 'the order of changes of table % is lost: settings that keep it were changed in the middle of a statement', i_table::regclass
        using errcode = 'object_not_in_prerequisite_state',
              hint = 'Functions and triggers that run inside of a statement on captured tables must not use RESET ALL, settings skytools.* or internal functions of pgq.';
end;
$$ language plpgsql set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_first(i_function name, i_table oid, i_version tid, i_sequence regclass)
returns boolean as $$
-- Draws a number for the insert of a row that is about to be changed, should its event still have to be written.
--
-- To be asked for rows that this transaction may have written.  Inside of nothing but the client's own statement, no insert is still to be written.
--
-- Returns:
--      true
declare
    _context pg_catalog.text;
begin
    get diagnostics _context = pg_context;
    -- this function and its caller
    if pg_catalog.split_part(_context, E'\n', 3) operator(pg_catalog.<>) '' then
        perform pgq._capture_remember(i_function, i_table, i_version, 'I', array[pg_catalog.nextval(i_sequence)]);
    end if;
    return true;
end;
$$ language plpgsql;
