-- Operators and functions are those of PostgreSQL, whoever may create others in schemas of the session's search_path: what runs here often runs
-- as superuser.  own_path.sql takes it back.
set search_path = pg_catalog, pg_temp;
