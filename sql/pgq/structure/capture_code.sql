-- Generated capture, written anew: an upgrade may have changed what it looks like, a restore what it belongs to.
do $capture$
declare
    _c record;
    _dropped boolean := pg_catalog.current_setting('skytools.dropped', true) operator(pg_catalog.=) 'on';
begin
    perform pg_catalog.set_config('skytools.dropped', 'off', false);
    for _c in select queue_name, rel_schema, rel_name from pgq.capture order by capture_id loop
        begin
            perform pgq.refresh_capture(_c.queue_name, _c.rel_schema || '.' || _c.rel_name);
        exception
            when others then
                -- Its code of before stays in place; it may call what is dropped: then every write to the table would fail.
                if _dropped or sqlstate in ('55P03', '40P01') then
                    raise exception 'capture of table %.% cannot be written anew: %', _c.rel_schema, _c.rel_name, sqlerrm
                        using errcode = sqlstate,
                              hint = 'Nothing was changed. Correct that, or give capture of the table up with pgq.uncapture_table(), and install again.';
                end if;
                raise warning 'capture of table %.% was not written anew: %', _c.rel_schema, _c.rel_name, sqlerrm
                    using hint = 'Correct that, then run pgq.refresh_capture().';
        end;
    end loop;
end;
$capture$;
