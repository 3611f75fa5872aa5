//! Every statement of the administrative commands, in one place. A test prepares each against a fresh install.

/// Registers a table name in the list of a node: queue, table.
pub const GLOBAL_ADD_TABLE: &str = "select ret_code, ret_note from londiste.global_add_table($1, $2)";
/// Removes a table name from the list of a node: queue, table.
pub const GLOBAL_REMOVE_TABLE: &str = "select ret_code, ret_note from londiste.global_remove_table($1, $2)";
/// Starts replicating a table on this node: queue, table, trigger arguments, attributes, physical table.
pub const LOCAL_ADD_TABLE: &str =
    "select ret_code, ret_note from londiste.local_add_table($1, $2, $3, $4, $5)";
/// Stops replicating a table on this node: queue, table.
pub const LOCAL_REMOVE_TABLE: &str = "select ret_code, ret_note from londiste.local_remove_table($1, $2)";
/// Changes attributes and trigger: queue, table, trigger arguments, attributes.
pub const LOCAL_CHANGE_HANDLER: &str =
    "select ret_code, ret_note from londiste.local_change_handler($1, $2, $3, $4)";
/// Changes attributes only: queue, table, attributes.
pub const LOCAL_SET_TABLE_ATTRS: &str =
    "select ret_code, ret_note from londiste.local_set_table_attrs($1, $2, $3)";
/// Sets snapshot and state of a table: queue, table, snapshot, state.
pub const LOCAL_SET_TABLE_STATE: &str =
    "select ret_code, ret_note from londiste.local_set_table_state($1, $2, $3, $4)";
/// Sequences of a queue.
pub const GET_SEQ_LIST: &str = "select seq_name, last_value, local from londiste.get_seq_list($1)";
/// Registers a sequence or its published value: queue, sequence, value.
pub const GLOBAL_UPDATE_SEQ: &str = "select ret_code, ret_note from londiste.global_update_seq($1, $2, $3)";
/// Forgets a sequence: queue, sequence.
pub const GLOBAL_REMOVE_SEQ: &str = "select ret_code, ret_note from londiste.global_remove_seq($1, $2)";
/// Starts replicating a sequence: queue, sequence.
pub const LOCAL_ADD_SEQ: &str = "select ret_code, ret_note from londiste.local_add_seq($1, $2)";
/// Stops replicating a sequence: queue, sequence.
pub const LOCAL_REMOVE_SEQ: &str = "select ret_code, ret_note from londiste.local_remove_seq($1, $2)";
/// What could be added to a node.
pub const LOCAL_SHOW_MISSING: &str = "select obj_kind, obj_name from londiste.local_show_missing($1)";
/// Begins a script on the root: queue, file, script, header.
pub const EXECUTE_START: &str = "select ret_code, ret_note from londiste.execute_start($1, $2, $3, true, $4)";
/// Remembers a script as applied, which is not run: queue, file, script, header.
pub const EXECUTE_TAKEN: &str =
    "select ret_code, ret_note from londiste.execute_start($1, $2, $3, false, $4)";
/// Scripts that a node has run, the latest first: queue.
pub const APPLIED_SCRIPTS: &str = "select execute_file, execute_sql, execute_attrs from londiste.applied_execute \
     where queue_name = $1 order by execute_time desc, execute_file desc";
/// How far the events of a queue have come: queue. The highest number drawn, and the transactions that have ended.
pub const PRESENT_MOMENT: &str = "select pgq.seq_getval(q.queue_event_seq), txid_current_snapshot()::text from pgq.queue q where q.queue_name = $1";
/// Foreign keys that copies have dropped: table.
pub const PENDING_FKEYS: &str = "select from_table, fkey_name from londiste.get_table_pending_fkeys($1)";
/// The newest tick of a queue: queue.
pub const NEWEST_TICK: &str = "select max(t.tick_id) from pgq.tick t \
     where t.tick_queue = (select q.queue_id from pgq.queue q where q.queue_name = $1)";
/// Puts the script into the stream: queue, file.
pub const EXECUTE_FINISH: &str = "select ret_code, ret_note from londiste.execute_finish($1, $2)";

/// Which of the schemas exist.
pub const SCHEMAS: &str = "select nspname::text from pg_catalog.pg_namespace where nspname = any($1)";
/// Identity of a database and the state of its transactions, to find out whether two connections reach the same.
pub const DATABASE_IDENTITY: &str = "select d.oid, d.datname::text, txid_current(), txid_current_snapshot()::text \
     from pg_catalog.pg_database d where d.datname = current_database()";
/// Bounds how long this transaction waits for a lock.
pub const SET_LOCK_TIMEOUT: &str = "select set_config('lock_timeout', $1, true)";
/// Kind of a relation: schema, name. NULL kind when there is none.
pub const RELATION_KIND: &str = "select c.relkind::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2";
/// Tables that a table is a partition of, the nearest first: schema, name.
pub const PARTITION_OF: &str = "select n.nspname || '.' || p.relname from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace s on s.oid = c.relnamespace \
     cross join lateral pg_catalog.pg_partition_ancestors(c.oid) with ordinality a (relid, nr) \
     join pg_catalog.pg_class p on p.oid = a.relid join pg_catalog.pg_namespace n on n.oid = p.relnamespace \
     where s.nspname = $1 and c.relname = $2 and a.relid <> c.oid order by a.nr";
/// Whether a schema whose own name holds a dot has a relation of that name: `schema.name` in full.
pub const DOTTED_SCHEMA: &str = "select n.nspname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where position('.' in n.nspname) > 0 and n.nspname || '.' || c.relname = $1";
/// Columns of a table: schema, name. Whether the column must be given a value on insert, and whether it is
/// generated from others.
pub const COLUMNS: &str = "select a.attname::text, \
     a.attnotnull and not a.atthasdef and a.attidentity = '' as required, \
     a.attgenerated <> '' as generated, \
     coalesce((select i.indisprimary from pg_catalog.pg_index i \
        where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey)), false) as in_key \
     from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum";
/// Position of each consumer of a local queue: name, age of its tick in seconds, tick.
pub const CONSUMER_LAGS: &str = "select consumer_name::text, extract(epoch from current_timestamp - lag)::float8, last_tick \
     from pgq.get_consumer_info($1)";
/// Age of the newest tick of a local queue and the server's clock, in seconds.
pub const QUEUE_LAG: &str = "select extract(epoch from ticker_lag)::float8, extract(epoch from current_timestamp)::float8 \
     from pgq.get_queue_info($1)";
/// A row when the node's schema has [`CAN_SET_REPLICA_ROLE`] (the original's has not).
pub const KNOWS_REPLICA_ROLE: &str = "select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
     where n.nspname = 'londiste' and p.proname = 'can_set_replica_role'";
/// Whether workers of the node may set the replica role.
pub const CAN_SET_REPLICA_ROLE: &str = "select londiste.can_set_replica_role()";
/// Consumers of a queue that a node's copies left behind: queue, prefix of their names.
pub const COPY_CONSUMERS: &str =
    "select consumer_name::text from pgq.get_consumer_info($1) where starts_with(consumer_name, $2)";
/// A row when a queue has a consumer of that name: queue, consumer.
pub const CONSUMER: &str = "select 1 from pgq.get_consumer_info($1) where consumer_name = $2";
/// Removes a plain consumer: queue, consumer.
pub const UNREGISTER_PLAIN_CONSUMER: &str = "select pgq.unregister_consumer($1, $2)";
/// Registers a plain consumer at a tick: queue, consumer, tick.
pub const REGISTER_PLAIN_CONSUMER_AT: &str = "select pgq.register_consumer_at($1, $2, $3)";
/// Whether captured tables are registered.
pub const REGISTERS_CAPTURE: &str = "select pg_catalog.to_regclass('pgq.capture') is not null";
/// Capture of tables: queue, schemas, names. Number of the table, form, with what it captures where that is not everything, and what is wrong with
/// the trigger.
pub const CAPTURE_TRIGGERS: &str = "select r.nr, \
        coalesce(t.form || case when t.operations <> 28 then ': ' || concat_ws(', ', case when t.operations & 4 <> 0 then 'insert' end, \
            case when t.operations & 16 <> 0 then 'update' end, case when t.operations & 8 <> 0 then 'delete' end) else '' end, 'none'), \
        case t.tgenabled when 'D' then pg_catalog.format('trigger %I is disabled, changes are not captured; \
                run \"alter table %I.%I enable trigger %I\" and copy the table again below (resync)', t.tgname, r.schema, r.name, t.tgname) \
             when 'R' then pg_catalog.format('trigger %I is enabled for replicas only, changes are not captured; \
                run \"alter table %I.%I enable trigger %I\" and copy the table again below (resync)', t.tgname, r.schema, r.name, t.tgname) end \
     from unnest($2::text[], $3::text[]) with ordinality r (schema, name, nr) \
     left join pg_catalog.pg_namespace n on n.nspname = r.schema \
     left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.name \
     cross join (select convert_to($1::text, getdatabaseencoding()) || '\\x00'::bytea as queue) q \
     left join lateral (select t.tgname::text, t.tgenabled::text, \
               case when position('\\x0064656e7900'::bytea in t.tgargs) > 0 then 'deny' \
                    when p.proname !~ '^_capture_' then 'generic' when t.tgtype & 1 = 1 then 'row' else 'statement' end as form, \
               (select (coalesce(bit_or(o.tgtype) filter (where o.tgtype & 2 = 0 and o.tgname not like '!!%'), bit_or(o.tgtype)) \
                       | (coalesce(bit_or(o.tgtype) filter (where o.tgtype & 2 <> 0), 0) & 8)) & 28 \
                  from pg_catalog.pg_trigger o where o.tgrelid = t.tgrelid and o.tgfoid = t.tgfoid and not o.tgisinternal) as operations \
          from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid \
          join pg_catalog.pg_namespace f on f.oid = p.pronamespace and f.nspname = 'pgq' \
         where t.tgrelid = c.oid and not t.tgisinternal and (t.tgtype & 32) = 0 \
           and (p.proname in ('logutriga', 'sqltriga', 'jsontriga') and (t.tgqual is null or t.tgname like '!%') or p.proname ~ '^_capture_([0-9]|open)') \
           and substring(t.tgargs for length(q.queue)) = q.queue \
         order by t.tgenabled in ('O', 'A'), t.tgname limit 1) t on true \
     order by r.nr";
/// Registered capture that is lost: queue, schemas, names. Number of the table, what is wrong.
pub const CAPTURE_LOST: &str = "select r.nr, \
        case when c.lost_since is not null then \
             pg_catalog.format('changes were not captured since %s: %s; remove the cause, run \"refresh-trigger %s\", and copy the table again below (resync)', \
                               c.lost_since, c.lost_reason, r.schema || '.' || r.name) \
             else pg_catalog.format('trigger %s is gone, changes are not captured; \
                put it back with \"refresh-trigger %s\" and copy the table again below (resync)', \
                (select pg_catalog.string_agg(pg_catalog.quote_ident(w), ', ') from unnest(wanted.names) w where w <> all (there.names)), \
                r.schema || '.' || r.name) end \
     from unnest($2::text[], $3::text[]) with ordinality r (schema, name, nr) \
     join pgq.capture c on c.queue_name = $1 and c.rel_schema = r.schema and c.rel_name = r.name \
     cross join lateral (select pg_catalog.to_jsonb(c) ->> 'form' as form, pg_catalog.to_jsonb(c) ->> 'operations' as operations) o \
     cross join lateral ( \
        select coalesce(pg_catalog.array_agg(t.tgname::text), '{}') as names, \
               coalesce(pg_catalog.bool_or(t.tgname = c.trigger_name and t.tgtype & 25 > 1), false) as one_for_all \
          from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid \
         where p.proname in (c.function_name, '_capture_open') and p.pronamespace = 'pgq'::pg_catalog.regnamespace \
           and t.tgrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', c.rel_schema, c.rel_name))) there \
     cross join lateral ( \
        select array(select c.trigger_name || s from unnest('{\"\",_update,_delete,_open,_pin}'::text[]) s where o.form = 'statement' \
                     union all select c.trigger_name::text where o.form <> 'statement' and (o.operations like '%I%' or there.one_for_all) \
                     union all select p.prefix || c.trigger_name from (values ('~', '[UD]'), ('!', 'U')) p (prefix, operation) \
                                where o.form <> 'statement' and not there.one_for_all and o.operations ~ p.operation) as names) wanted \
     where c.lost_since is not null or pg_catalog.cardinality(there.names) < pg_catalog.cardinality(wanted.names) \
     order by r.nr";
/// Whether the database tells which tables have lost their trigger, and tells it this login.
pub const KNOWS_LOST_CAPTURE: &str = "select coalesce(pg_catalog.has_function_privilege( \
     pg_catalog.to_regprocedure('londiste._lost_capture(text)')::oid, 'execute'), false)";
/// Tables that have lost their trigger: queue.
pub const LOST_CAPTURE: &str = "select table_name, problem, denies, in_sync from londiste._lost_capture($1)";
/// Puts back what a table has lost: queue, table, arguments in place of those that were noted.
pub const RESTORE_CAPTURE: &str = "select ret_code, ret_note from londiste._restore_capture($1, $2, $3)";
/// Notes that the triggers of a table are as they should be: queue, table.
pub const REMEMBER_CAPTURE: &str = "select londiste._remember_capture($1, $2, false)";
/// What captures a table: queue, schema, name.
pub const CURRENT_CAPTURE: &str = "select c.function::text, c.plain, c.good, c.present_day, c.form, c.trigger::text, c.operations, c.args, c.options \
     from pgq._capture_current($1, $2::text::name, $3::text::name) c where c.form is not null";
/// Puts the triggers of today on a table whose generic ones are older: table, trigger, function, arguments, operations.
pub const RENEW_GENERIC: &str = "select pgq._capture_triggers(pg_catalog.to_regclass(pgq.quote_fqname($1::text)), $2::text::name, 'generic', \
        $3::text::name, $4::text[], $5)";
/// Why the code of a trigger cannot be generated: table, arguments of the trigger. Reason and remedy; no row when it can.
pub const WHY_NOT_GENERATED: &str = "select w.reason, w.remedy \
     from pg_catalog.pg_class c cross join pgq._trigger_options($2::text[]) o \
     cross join lateral (values \
        (1, c.relkind = 'p', 'it is partitioned', 'leave $OPTION out, or replicate its partitions in its place'), \
        (2, exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
                       and pg_catalog.starts_with(a.attname, '_pgq_ev_')), \
            'it has columns named _pgq_ev_*', 'leave $OPTION out, or rename these columns'), \
        (3, true, pg_catalog.format('its trigger has arguments that only a generic one understands: %s', \
            pg_catalog.array_to_string(array(select w from pg_catalog.unnest($2::text[]) with ordinality u (w, nr) \
                 where nr > 1 and w !~ '^(ignore|pkey)=' and w <> 'backup' order by nr), ', ')), \
            'leave $OPTION out, or remove the table and add it again without them (remove-table, add-table)')) w (nr, so, reason, remedy) \
     where c.oid = pg_catalog.to_regclass(pgq.quote_fqname($1::text)) and not pgq._capture_possible(c.oid, $2::text[]) and w.so \
     order by w.nr limit 1";

/// All statements of this module, for the test that prepares them.
pub const ALL: &[&str] = &[
    GLOBAL_ADD_TABLE,
    GLOBAL_REMOVE_TABLE,
    LOCAL_ADD_TABLE,
    LOCAL_REMOVE_TABLE,
    LOCAL_CHANGE_HANDLER,
    LOCAL_SET_TABLE_ATTRS,
    LOCAL_SET_TABLE_STATE,
    GET_SEQ_LIST,
    GLOBAL_UPDATE_SEQ,
    GLOBAL_REMOVE_SEQ,
    LOCAL_ADD_SEQ,
    LOCAL_REMOVE_SEQ,
    LOCAL_SHOW_MISSING,
    EXECUTE_START,
    EXECUTE_FINISH,
    EXECUTE_TAKEN,
    APPLIED_SCRIPTS,
    PRESENT_MOMENT,
    PENDING_FKEYS,
    NEWEST_TICK,
    SCHEMAS,
    DATABASE_IDENTITY,
    SET_LOCK_TIMEOUT,
    RELATION_KIND,
    PARTITION_OF,
    DOTTED_SCHEMA,
    COLUMNS,
    CONSUMER_LAGS,
    QUEUE_LAG,
    KNOWS_REPLICA_ROLE,
    CAN_SET_REPLICA_ROLE,
    COPY_CONSUMERS,
    CONSUMER,
    UNREGISTER_PLAIN_CONSUMER,
    REGISTER_PLAIN_CONSUMER_AT,
    REGISTERS_CAPTURE,
    CAPTURE_TRIGGERS,
    CAPTURE_LOST,
    KNOWS_LOST_CAPTURE,
    LOST_CAPTURE,
    RESTORE_CAPTURE,
    REMEMBER_CAPTURE,
    CURRENT_CAPTURE,
    RENEW_GENERIC,
    WHY_NOT_GENERATED,
];
