-- Install or upgrade schema pgq_coop.  Needs schema pgq.
-- psql -1 -v ON_ERROR_STOP=1 -f sql/pgq_coop/install.sql <database>

\ir ../pinned_path.sql
\ir structure/adopt.sql
\ir ../release_extension.sql
\ir structure/schema.sql

\ir functions/pgq_coop.version.sql
\ir functions/pgq_coop.register_subconsumer.sql
\ir functions/pgq_coop.unregister_subconsumer.sql
\ir functions/pgq_coop.next_batch_custom.sql
\ir functions/pgq_coop.next_batch.sql
\ir functions/pgq_coop.finish_batch.sql

\ir structure/grants.sql
\ir ../grant_functions.sql
\ir ../own_path.sql
