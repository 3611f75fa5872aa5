create or replace function pgq._capture_code(i_capture pgq.capture, i_table oid)
returns text as $$
-- Writes the body of the trigger function of one captured table.
    select case i_capture.form when 'statement' then pgq._capture_statement_code(i_capture, i_table)
                               else pgq._capture_row_code(i_capture, i_table) end;
$$ language sql set search_path = pg_catalog, pgq, pg_temp;
