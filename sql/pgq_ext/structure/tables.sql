-- ----------------------------------------------------------------------
-- Schema pgq_ext: what a consumer has done, kept in the database where it works.
-- Written in the same transaction as the work, it makes processing exactly once.
--
--   completed_tick     last tick applied
--   completed_batch    last batch applied
--   completed_event    events applied of the batch under way
--   partial_batch      that batch
--
-- A subconsumer is a part of a consumer that keeps its own position; '' is none.
-- The primary keys of all but completed_event give way in newest_first.sql.
-- ----------------------------------------------------------------------

create schema if not exists pgq_ext;
grant usage on schema pgq_ext to public;

create table if not exists pgq_ext.completed_tick (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_tick_id    bigint  not null,

    primary key (consumer_id, subconsumer_id)
);

create table if not exists pgq_ext.completed_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_batch_id   bigint  not null,

    primary key (consumer_id, subconsumer_id)
);

create table if not exists pgq_ext.completed_event (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    batch_id        bigint  not null,
    event_id        bigint  not null,

    primary key (consumer_id, subconsumer_id, batch_id, event_id)
);

create table if not exists pgq_ext.partial_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    cur_batch_id    bigint  not null,

    primary key (consumer_id, subconsumer_id)
);
