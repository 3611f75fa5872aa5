-- Tables whose capture is generated: one row per row trigger, docs/how-capture-works.md.
--
-- The function is named after the row; table, function and queue go by name, so that a restored dump can be put right
-- by pgq.refresh_capture().  Not read when a row is captured.
create table if not exists pgq.capture (
    capture_id      serial      primary key,
    queue_name      text        not null,
    rel_schema      name        not null,
    rel_name        name        not null,
    trigger_name    name        not null,
    options         text[]      not null,   -- trigger arguments behind the queue
    function_name   name        not null,   -- in schema pgq
    form            text        not null default 'row' check (form in ('row', 'statement')),
    operations      text        not null default 'IUD',     -- letters of I, U, D
    failure         text        not null default 'fail' check (failure in ('fail', 'mark')),
    written         timestamptz not null default now(),
    lost_since      timestamptz,            -- first change that could not be captured (failure = mark)
    lost_reason     text,
    chars           text        not null default '',    -- that its texts often have: pgq._capture_sample()
    sampled         int4        not null default 0,     -- events it looked at
    sample_due      int8        default 1000,           -- number of an event that makes it look again
    sample_from     int8,                               -- number that the queue had come to at the first look
    unique (queue_name, rel_schema, rel_name, trigger_name)
);
alter table pgq.capture add column if not exists form text not null default 'row' check (form in ('row', 'statement'));
alter table pgq.capture
    add column if not exists chars text not null default '',
    add column if not exists sampled int4 not null default 0,
    add column if not exists sample_due int8 default 1000,
    add column if not exists sample_from int8,
    add column if not exists operations text;
-- until then one trigger was all there was
update pgq.capture c
   set operations = coalesce((
       select concat(case when t.tgtype & 4 <> 0 then 'I' end, case when t.tgtype & 16 <> 0 then 'U' end, case when t.tgtype & 8 <> 0 then 'D' end)
         from pg_catalog.pg_trigger t
        where t.tgfoid = pg_catalog.to_regprocedure(pg_catalog.format('pgq.%I()', c.function_name)) and t.tgname = c.trigger_name and t.tgtype & 1 = 1
        limit 1), 'IUD')
 where operations is null;
alter table pgq.capture alter column operations set not null, alter column operations set default 'IUD';

-- Part of the names of settings that nobody but PgQ's functions may know: pgq._capture_order.sql.  One row.
create table if not exists pgq.capture_secret (
    secret          text        not null
);
insert into pgq.capture_secret (secret)
    select pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', '') where not exists (select 1 from pgq.capture_secret);
