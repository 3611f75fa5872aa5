-- ----------------------------------------------------------------------
-- Schema londiste: which tables and sequences of this database take part in
-- replication, and in which state.
--
--   table_info       one row per queue and table; local = subscribed here
--   seq_info         one row per queue and sequence, with the published value
--   applied_execute  SQL scripts that were run here through the queue
--   pending_fkeys    foreign keys dropped for an initial copy, to be put back
-- ----------------------------------------------------------------------

create schema if not exists londiste;
grant usage on schema londiste to public;

create table if not exists londiste.table_info (
    nr              serial      not null,   -- order of registration
    queue_name      text        not null,
    table_name      text        not null,   -- name in the events: schema.table, not quoted
    local           boolean     not null default false,
    merge_state     text,                   -- NULL, in-copy, catching-up, wanna-sync:N, do-sync:N, ok
    custom_snapshot text,                   -- of the copy: events it contains are not replayed
    dropped_ddl     text,                   -- what the copy dropped and has to put back
    table_attrs     text,                   -- url-encoded
    dest_table      text,                   -- local name when it differs from table_name

    primary key (queue_name, table_name),
    foreign key (queue_name) references pgq_node.node_info (queue_name) on delete cascade,
    check (dropped_ddl is null or merge_state in ('in-copy', 'catching-up'))
);

create table if not exists londiste.seq_info (
    nr              serial      not null,
    queue_name      text        not null,
    seq_name        text        not null,
    local           boolean     not null default false,
    last_value      int8        not null,   -- published: copies may begin here

    primary key (queue_name, seq_name),
    foreign key (queue_name) references pgq_node.node_info (queue_name) on delete cascade
);

create table if not exists londiste.applied_execute (
    queue_name      text        not null,
    execute_file    text        not null,
    execute_time    timestamptz not null default now(),
    execute_sql     text        not null,
    execute_attrs   text,

    primary key (execute_file)
);

create table if not exists londiste.pending_fkeys (
    from_table      text        not null,   -- schema.table, not quoted
    to_table        text        not null,
    fkey_name       text        not null,
    fkey_def        text        not null,   -- whole ALTER TABLE statement

    primary key (from_table, fkey_name)
);

-- Columns that are younger than their tables.
alter table londiste.table_info add column if not exists dropped_ddl text;
alter table londiste.table_info add column if not exists table_attrs text;
alter table londiste.table_info add column if not exists dest_table text;
alter table londiste.applied_execute add column if not exists execute_attrs text;
