-- What the generic triggers know about one table with one list of trigger arguments.
--
-- The rows are a cache.  They hold SQL that pgq.logutriga and its sisters run as whoever writes the
-- table, therefore nobody but pgq._trigger_plan() (SECURITY DEFINER) may write here: a session
-- setting would do the same job, but anybody could plant SQL in it for a more privileged function
-- that happens to write a captured table.  Every use checks the plan against the live table.
--
-- fast_sql has PostgreSQL write the whole row by one format() call, which costs a quarter of asking for
-- each value with its type (row_sql).  It serves when nothing depends on types and the text can be taken apart again.
create unlogged table if not exists pgq.trigger_plan (
    relid           oid         not null,
    kind            text        not null,   -- logutriga, sqltriga, jsontriga
    args            text[]      not null,   -- trigger arguments as given
    home            oid         not null,   -- OID of this very table: a restored dump does not match
    rel_schema      name        not null,
    rel_name        name        not null,
    last_attnum     int2        not null,   -- a column beyond this one is news
    identity_index  oid         not null,   -- as pg_get_replica_identity_index() saw it, 0 = none
    key_index       oid         not null,   -- index of the primary key, 0 = none
    key_names       text[]      not null,   -- its columns as pg_get_indexdef() writes them

    queue           text        not null,
    skip            boolean     not null,
    deny            boolean     not null,
    backup          boolean     not null,
    truncate_error  text,                   -- why a truncate trigger cannot have these arguments
    has_key         boolean     not null,
    key_text        text        not null,   -- the key list of ev_type
    table_text      text        not null,   -- the value of ev_extra1

    cols            text[]      not null,   -- live columns in table order
    types           oid[]       not null,
    role            text[]      not null,   -- d data, i ignored, m magic
    is_key          boolean[]   not null,
    class           text[]      not null,   -- how a value is written: s text, n as it is, b boolean
    label           text[]      not null,   -- the column name as the format writes it
    pairs           text,                   -- format() that makes url-encoded pairs of all encoded values, not for jsontriga
    compare         boolean     not null,   -- updates need to know which columns changed
    fast_sql        text,                   -- $1 row: all values as text, in one piece
    fast_key_sql    text,                   -- $1 new, $2 old: all new values, old key values
    row_sql         text        not null,   -- $1 row: types, values
    update_sql      text        not null,   -- $1 new, $2 old: types, new values, old values, equal

    over_field      text[]      not null,   -- fields replaced by expressions, in checking order
    over_sql        text[]      not null,   -- query per field ($1 row), null when constant
    over_const      text[]      not null    -- its value when constant
);
alter table pgq.trigger_plan add column if not exists pairs text;
-- plans of an older version lack what this one relies on
delete from pgq.trigger_plan;
create index if not exists trigger_plan_relid_idx on pgq.trigger_plan (relid);
