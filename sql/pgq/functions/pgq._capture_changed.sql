create or replace function pgq._capture_changed()
returns text as $$
-- Stands where a column is not of the kind it was when capture was generated.
begin
    raise exception 'the table was altered after its capture was generated'
        using errcode = 'object_not_in_prerequisite_state',
              hint = 'Run: skytools londiste INI refresh-trigger TABLE (or pgq.refresh_capture(queue, table)), and the transaction again.';
end;
$$ language plpgsql volatile;
