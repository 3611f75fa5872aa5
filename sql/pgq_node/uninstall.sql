-- Remove schema pgq_node with all that it knows about cascades.  Queues and user
-- tables stay.  Fails while schema londiste exists: remove that first.
do $uninstall$
begin
    if to_regnamespace('londiste') is not null then
        raise exception 'schema londiste needs schema pgq_node'
            using errcode = 'dependent_objects_still_exist',
                  hint = 'Remove londiste first: psql -1 -f sql/londiste/uninstall.sql.';
    end if;
end
$uninstall$;
drop schema if exists pgq_node cascade;
