-- ----------------------------------------------------------------------
-- Schema pgq_node: tables of a cascade as seen from one node.
--
--   node_location    every known node of a cascade and how to reach it
--   node_info        this database's own node, one row per cascade (queue)
--   local_state      position and flags of consumers running against this node
--   subscriber_info  nodes that read their events from this node
--
-- local_state is updated once per batch; everything outside pgq_node reads and
-- writes it through functions.  Its keys and indexes: newest_first.sql.
-- ----------------------------------------------------------------------

create schema if not exists pgq_node;
grant usage on schema pgq_node to public;

create table if not exists pgq_node.node_location (
    queue_name      text        not null,
    node_name       text        not null,
    node_location   text        not null,   -- libpq connect string
    dead            boolean     not null default false,

    primary key (queue_name, node_name)
);

create table if not exists pgq_node.node_info (
    queue_name      text        not null,
    node_type       text        not null,   -- root, branch or leaf
    node_name       text        not null,
    worker_name     text,
    combined_queue  text,                   -- leaf only: queue its events are merged into
    node_attrs      text,                   -- url-encoded, e.g. sync_watermark=node4,node5

    primary key (queue_name),
    foreign key (queue_name, node_name) references pgq_node.node_location,
    check (node_type in ('root', 'branch', 'leaf')),
    check (case when node_type = 'root' then worker_name is not null and combined_queue is null
                when node_type = 'branch' then worker_name is not null and combined_queue is null
                when node_type = 'leaf' then worker_name is not null
                else false end)
);
-- node_attrs is younger than the table.
alter table pgq_node.node_info add column if not exists node_attrs text;

create table if not exists pgq_node.local_state (
    queue_name      text        not null,
    consumer_name   text        not null,
    provider_node   text        not null,
    last_tick_id    bigint      not null,
    cur_error       text,
    paused          boolean     not null default false,
    uptodate        boolean     not null default false,

    foreign key (queue_name) references pgq_node.node_info,
    foreign key (queue_name, provider_node) references pgq_node.node_location
);

create table if not exists pgq_node.subscriber_info (
    queue_name      text        not null,
    subscriber_node text        not null,
    worker_name     text        not null,
    watermark_name  text        not null,

    primary key (queue_name, subscriber_node),
    foreign key (queue_name) references pgq_node.node_info,
    foreign key (queue_name, subscriber_node) references pgq_node.node_location,
    foreign key (worker_name) references pgq.consumer (co_name),
    foreign key (watermark_name) references pgq.consumer (co_name)
);
