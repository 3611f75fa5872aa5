-- Tables of an older installation get what they lack.
do $upgrade$
begin
    perform pgq_ext.upgrade_schema();
end
$upgrade$;
