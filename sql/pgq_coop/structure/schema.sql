-- ----------------------------------------------------------------------
-- Schema pgq_coop: several subconsumers share the batches of one consumer.
--
-- No tables: a subconsumer is a consumer named `<consumer>.<subconsumer>` whose row
-- in pgq.subscription has the sub_id of the main consumer.  The main row holds the
-- position to hand out next and never has a batch; a subconsumer's row has ticks only
-- while it works on a batch, and with them keeps that batch's events from rotation.
-- ----------------------------------------------------------------------
create schema if not exists pgq_coop;
grant usage on schema pgq_coop to public;
