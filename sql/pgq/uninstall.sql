-- Removes PgQ with all queues, events and consumers, and with it every trigger that calls pgq.*triga.
-- The roles stay: they belong to the cluster, other databases may use them.
drop schema if exists pgq cascade;
