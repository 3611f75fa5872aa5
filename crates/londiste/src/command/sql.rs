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
/// Removes a plain consumer: queue, consumer.
pub const UNREGISTER_PLAIN_CONSUMER: &str = "select pgq.unregister_consumer($1, $2)";
/// Registers a plain consumer at a tick: queue, consumer, tick.
pub const REGISTER_PLAIN_CONSUMER_AT: &str = "select pgq.register_consumer_at($1, $2, $3)";

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
    SCHEMAS,
    DATABASE_IDENTITY,
    SET_LOCK_TIMEOUT,
    RELATION_KIND,
    DOTTED_SCHEMA,
    COLUMNS,
    CONSUMER_LAGS,
    QUEUE_LAG,
    KNOWS_REPLICA_ROLE,
    CAN_SET_REPLICA_ROLE,
    COPY_CONSUMERS,
    UNREGISTER_PLAIN_CONSUMER,
    REGISTER_PLAIN_CONSUMER_AT,
];
