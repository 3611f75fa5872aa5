-- Tables of PgQ.  Names, columns and their order are an interface: clients and dumps rely on them.

-- Functions run with the rights of their owners, and use each other and the tables: two owners stop writes and ticks.  skytools install works as
-- the owner; psql is told to.  Superusers among themselves have all rights.
do $owner$
declare
    _owner name := (select r.rolname
                      from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner
                     where n.nspname = 'pgq' and not r.rolsuper);
begin
    if _owner <> current_user then
        raise exception 'schema pgq belongs to role "%", and what role "%" makes in it would not', _owner, current_user
            using errcode = 'object_not_in_prerequisite_state',
                  hint = pg_catalog.format('Run it as that role (set role %I), or run: skytools install, which does.', _owner);
    end if;
end;
$owner$;

create schema if not exists pgq;

-- Names of consumers, over all queues.
create table if not exists pgq.consumer (
    co_id       serial,
    co_name     text        not null,

    constraint consumer_pkey primary key (co_id),
    constraint consumer_name_uq unique (co_name)
);

-- One row per queue.
--
--  queue_cur_table     number of the event table that takes new events
--  queue_switch_step1  transaction that switched to it
--  queue_switch_step2  a transaction that began after the switch was committed; null until step 2 has run
--  queue_data_pfx      event tables are named <pfx>_0 .. <pfx>_<ntables - 1>
create table if not exists pgq.queue (
    queue_id                    serial,
    queue_name                  text        not null,

    queue_ntables               integer     not null default 3,
    queue_cur_table             integer     not null default 0,
    queue_rotation_period       interval    not null default '2 hours',
    queue_switch_step1          bigint      not null default txid_current(),
    queue_switch_step2          bigint               default txid_current(),
    queue_switch_time           timestamptz not null default now(),

    queue_external_ticker       boolean     not null default false,
    queue_disable_insert        boolean     not null default false,
    queue_ticker_paused         boolean     not null default false,

    queue_ticker_max_count      integer     not null default 500,
    queue_ticker_max_lag        interval    not null default '3 seconds',
    queue_ticker_idle_period    interval    not null default '1 minute',
    queue_per_tx_limit          integer,

    queue_data_pfx              text        not null,
    queue_event_seq             text        not null,
    queue_tick_seq              text        not null,

    queue_extra_maint           text[],

    constraint queue_pkey primary key (queue_id),
    constraint queue_name_uq unique (queue_name)
);

-- Points that cut the event stream: a batch is what became visible between two of them.
create table if not exists pgq.tick (
    tick_queue      int4            not null,
    tick_id         bigint          not null,
    tick_time       timestamptz     not null default now(),
    tick_snapshot   txid_snapshot   not null default txid_current_snapshot(),
    tick_event_seq  bigint          not null,

    constraint tick_pkey primary key (tick_queue, tick_id),
    constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue (queue_id)
);

-- Where a queue has ticked last (pgq._server): a tick that a dump has brought is told from one of this server.
create table if not exists pgq.queue_server (
    queue_id    int4    not null,
    server      text    not null,

    constraint queue_server_pkey primary key (queue_id),
    constraint queue_server_queue_fkey foreign key (queue_id) references pgq.queue (queue_id) on delete cascade
);

create sequence if not exists pgq.batch_id_seq;

-- Position of each consumer on each queue.  sub_id is shared by cooperating consumers, so it is not unique.
-- Keys and indexes: newest_first.sql.
create table if not exists pgq.subscription (
    sub_id          serial      not null,
    sub_queue       int4        not null,
    sub_consumer    int4        not null,
    sub_last_tick   bigint,
    sub_active      timestamptz not null default now(),
    sub_batch       bigint,
    sub_next_tick   bigint,

    constraint sub_queue_fkey foreign key (sub_queue) references pgq.queue (queue_id),
    constraint sub_consumer_fkey foreign key (sub_consumer) references pgq.consumer (co_id)
);

-- Parent of all event tables.  Holds no rows.
create table if not exists pgq.event_template (
    ev_id       bigint      not null,
    ev_time     timestamptz not null,

    ev_txid     bigint      not null default txid_current(),
    ev_owner    int4,
    ev_retry    int4,

    ev_type     text,
    ev_data     text,
    ev_extra1   text,
    ev_extra2   text,
    ev_extra3   text,
    ev_extra4   text
);

-- Events that a consumer wants to see again later.
create table if not exists pgq.retry_queue (
    ev_retry_after  timestamptz not null,
    ev_queue        int4        not null,

    ev_id           bigint      not null,
    ev_time         timestamptz not null,
    ev_txid         bigint,
    ev_owner        int4        not null,
    ev_retry        int4,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text,

    constraint rq_pkey primary key (ev_owner, ev_id),
    constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id)
);
create index if not exists rq_retry_idx on pgq.retry_queue (ev_retry_after);

-- Proof that a session is the apply worker of a queue: see pgq.apply_token().
create table if not exists pgq.apply_token (
    queue_name  text    not null,
    token       text    not null,

    constraint apply_token_pkey primary key (queue_name)
);
