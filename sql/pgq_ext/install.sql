-- Install or upgrade schema pgq_ext.  Needs no other schema.
-- psql -1 -v ON_ERROR_STOP=1 -f sql/pgq_ext/install.sql <database>

\ir ../pinned_path.sql
\ir structure/adopt.sql
\ir ../release_extension.sql
\ir structure/tables.sql

\ir functions/pgq_ext.get_last_tick.sql
\ir functions/pgq_ext.is_batch_done.sql
\ir functions/pgq_ext.is_event_done.sql
\ir functions/pgq_ext.set_batch_done.sql
\ir functions/pgq_ext.set_event_done.sql
\ir functions/pgq_ext.set_last_tick.sql
\ir functions/pgq_ext.upgrade_schema.sql
\ir functions/pgq_ext.version.sql

\ir structure/upgrade.sql
\ir structure/newest_first.sql
\ir structure/grants.sql
\ir ../grant_functions.sql
\ir ../own_path.sql
