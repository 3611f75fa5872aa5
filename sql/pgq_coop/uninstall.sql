-- Remove schema pgq_coop.  Subconsumers stay as rows of pgq.subscription and go with
-- their main consumer in pgq.unregister_consumer().
drop schema if exists pgq_coop cascade;
