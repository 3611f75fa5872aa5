-- Rights on schema pgq_ext: all of it for pgq_writer, where that role exists, and nothing but version() for PUBLIC.  Those on its
-- functions are given by ../grant_functions.sql, which comes next.
do $grants$
begin
    perform set_config('skytools.rights', jsonb_build_object(
        'schema', 'pgq_ext', 'roles', array['pgq_writer'], 'functions', jsonb_object_agg(name, grantees))::text, false)
       from (values
            ('version', array['public']),
            ('upgrade_schema', array['pgq_writer']),
            ('get_last_tick', array['pgq_writer']),
            ('set_last_tick', array['pgq_writer']),
            ('is_batch_done', array['pgq_writer']),
            ('set_batch_done', array['pgq_writer']),
            ('is_event_done', array['pgq_writer']),
            ('set_event_done', array['pgq_writer']),
            ('_position_key_changed', '{}'::text[]),
            ('_position_key_arrived', '{}'::text[])
       ) rights (name, grantees);

    if to_regrole('pgq_writer') is not null then
        grant select, insert, update, delete
           on pgq_ext.completed_tick, pgq_ext.completed_batch, pgq_ext.completed_event, pgq_ext.partial_batch
           to pgq_writer;
    end if;
end
$grants$;
