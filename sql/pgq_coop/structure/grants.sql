-- Rights on schema pgq_coop: all of it for pgq_reader, where that role exists, and nothing but version() for PUBLIC.  Those on its
-- functions are given by ../grant_functions.sql, which comes next.
do $grants$
begin
    perform set_config('skytools.rights', jsonb_build_object(
        'schema', 'pgq_coop', 'roles', array['pgq_reader'], 'functions', jsonb_object_agg(name, grantees))::text, false)
       from (values
            ('version', array['public']),
            ('register_subconsumer', array['pgq_reader']),
            ('unregister_subconsumer', array['pgq_reader']),
            ('next_batch', array['pgq_reader']),
            ('next_batch_custom', array['pgq_reader']),
            ('finish_batch', array['pgq_reader'])
       ) rights (name, grantees);
end
$grants$;
