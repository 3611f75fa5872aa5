-- Remove schema pgq_ext and with it the positions of all consumers that keep them here.
drop schema if exists pgq_ext cascade;
