-- Generated capture, written anew: an upgrade may have changed what it looks like, a restore what it belongs to.
do $capture$
declare
    _c record;
begin
    for _c in select queue_name, rel_schema, rel_name from pgq.capture order by capture_id loop
        begin
            perform pgq.refresh_capture(_c.queue_name, _c.rel_schema || '.' || _c.rel_name);
        exception
            when others then
                -- its code of before stays in place
                raise warning 'capture of table %.% was not written anew: %', _c.rel_schema, _c.rel_name, sqlerrm
                    using hint = 'Correct that, then run pgq.refresh_capture().';
        end;
    end loop;
end;
$capture$;
