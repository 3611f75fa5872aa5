-- Functions of an older installation that are not used any more are dropped.  What generated code still calls them is written anew by
-- capture_code.sql in the same transaction; it must know that there was something.
do $obsolete$
declare
    _f record;
begin
    for _f in
        select p.oid::pg_catalog.regprocedure as fn
          from pg_catalog.pg_proc p
         where p.pronamespace = 'pgq'::pg_catalog.regnamespace
           and (p.proname in ('_capture_again', '_capture_again_code', '_capture_again_by_expressions', '_capture_used_again', '_capture_taking', '_capture_inside', '_capture_postponed', '_capture_inserted', '_capture_behind', '_capture_has_first',
                              '_capture_some', '_capture_holders', '_capture_written', '_capture_take_out', '_capture_take_back', '_capture_overtaken', '_capture_later',
                              '_capture_equal', '_capture_equality', '_capture_uniques', '_capture_expressions', '_capture_may_read', '_capture_newest', '_capture_drop_statement', '_capture_order_key', '_trigger_numbered')
                or p.proname = '_capture_register' and p.pronargs = 7
                or p.proname = '_capture_sample' and not coalesce('{since}' <@ p.proargnames, false)
                or p.proname = '_capture_event' and p.pronargs = 5
                or p.proname = '_capture_insert' and p.pronargs = 6 and p.proargnames[2] = 'i_prefix'
                or p.proname = '_capture_state' and p.pronargs = 4
                or p.proname = '_capture_words' and not '{same_claims}' <@ p.proargnames
                or p.proname = '_capture_intact' and p.pronargs <> 11
                or p.proname = '_capture_looked' and p.pronargs <> 6
                or p.proname = '_capture_key_checked' and p.pronargs <> 2
                or p.proname = '_capture_row' and p.pronargs <> 8
                or p.proname ~ '^_insert_(tree|leaf)_[0-9]+$' and p.pronargs = 8
                or p.proname = '_capture_order_setting' and p.pronargs <> 2
                or p.proname = '_capture_remember' and p.proargtypes[4] = 'text'::pg_catalog.regtype
                or p.proname = '_capture_numbers' and p.pronargs <> 6
                or p.proname = '_capture_order_block' and p.pronargs <> 2
                or p.proname = '_capture_current' and not '{operations}' <@ p.proargnames
                or p.proname = '_capture_triggers' and not '{i_operations}' <@ p.proargnames
                or p.proname = '_capture_drop_triggers' and p.pronargs <> 4
                or p.proname = '_capture_wanted' and not '{i_deferrable}' <@ p.proargnames
                or p.proname = '_capture_keys_changed' and p.pronargs <> 2
                or p.proname = '_trigger_check_key' and p.pronargs <> 3
                or p.proname = '_capture_refuse' and p.proargnames[2] = 'i_leave'
                or p.proname = '_capture_order_lock' and p.pronargs = 1
                -- triggers go on with it until they are made anew
                or p.proname = '_capture_number' and p.proargtypes[0] = 'name'::pg_catalog.regtype
                   and not exists (select 1 from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.refobjid = p.oid))
    loop
        execute pg_catalog.format('drop function %s', _f.fn);
        perform pg_catalog.set_config('skytools.dropped', 'on', false);
    end loop;
end
$obsolete$;
