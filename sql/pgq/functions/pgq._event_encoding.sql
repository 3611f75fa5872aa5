create or replace function pgq._event_encoding()
returns name as $$
-- The encoding of the bytes that events carry url-encoded: UTF8, whatever the database is encoded in, so that a reader need not
-- ask.  SQL_ASCII says of no text what it is encoded in: there the bytes are those that were written.
--
-- Names and operators are qualified: it is read into the statements that call it, under the search_path of anybody.
    select case when pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII'::pg_catalog.name
                then 'SQL_ASCII'::pg_catalog.name else 'UTF8'::pg_catalog.name end;
$$ language sql stable;
