//! Every statement this crate sends about plain queues, in one place. A test prepares each of them against a
//! fresh install and against the original extension.

/// Opens (or hands out again) the next batch of a consumer: min lag, min count, min interval.
pub const NEXT_BATCH: &str = "select batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, \
     cur_tick_event_seq, prev_tick_event_seq \
     from pgq.next_batch_custom($1::text, $2::text, $3::text::interval, $4::int4, $5::text::interval)";

/// Opens (or hands out again) a batch of all that waits, up to about so many events: one call, so that nobody asks twice.
pub const NEXT_BACKLOG: &str = "select b.batch_id, b.cur_tick_id, b.prev_tick_id, b.cur_tick_time, b.prev_tick_time, \
     b.cur_tick_event_seq, b.prev_tick_event_seq \
     from pgq.get_consumer_info($1::text, $2::text) i, \
     lateral pgq.next_batch_custom($1::text, $2::text, null, least(i.pending_events, $3::int4)::int4, null) b";

/// Text of the query that returns the events of an open batch.
pub const BATCH_EVENT_SQL: &str = "select pgq.batch_event_sql($1::int8)";

/// Closes a batch.
pub const FINISH_BATCH: &str = "select pgq.finish_batch($1::int8)";

/// Facts about an open batch.
pub const BATCH_INFO: &str = "select queue_name, consumer_name, batch_start, batch_end, prev_tick_id, tick_id, \
     extract(epoch from lag)::float8, seq_start, seq_end from pgq.get_batch_info($1::int8)";

/// Puts one event of an open batch back, after a number of seconds.
pub const EVENT_RETRY: &str = "select pgq.event_retry($1::int8, $2::int8, $3::int4)";

/// Puts every event of an open batch back, after a number of seconds.
pub const BATCH_RETRY: &str = "select pgq.batch_retry($1::int8, $2::int4)";

/// Writes one event.
pub const INSERT_EVENT: &str =
    "select pgq.insert_event($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text)";

/// Writes one event under a given id or time. Owner and retry count stay NULL.
pub const INSERT_EVENT_RAW: &str = "select pgq.insert_event_raw($1::text, $8::int8, coalesce($9::timestamptz, now()), \
     null::int4, null::int4, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text)";

/// Writes several events, in the order of the arrays.
pub const INSERT_EVENT_ARRAYS: &str = "select pgq.insert_event($1::text, e.t, e.d, e.x1, e.x2, e.x3, e.x4) \
     from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
     as e(t, d, x1, x2, x3, x4)";

/// Writes several events and returns their ids, in the order of the arrays. The original has no such function.
pub const INSERT_EVENTS: &str = "select pgq.insert_events($1::text, $2::text[], $3::text[], $4::text[], $5::text[], \
     $6::text[], $7::text[])";

/// Where events of a queue go in this transaction, whether we may COPY there, the event time, and the limit
/// on events per transaction.
pub const CURRENT_EVENT_TABLE: &str = "select t, has_table_privilege(t, 'insert'), now(), \
     (select queue_per_tx_limit from pgq.queue where queue_name = $1::text) \
     from pgq.current_event_table($1::text) as t";

/// Creates a queue.
pub const CREATE_QUEUE: &str = "select pgq.create_queue($1::text)";

/// Drops a queue.
pub const DROP_QUEUE: &str = "select pgq.drop_queue($1::text, $2::bool)";

/// Sets one parameter of a queue.
pub const SET_QUEUE_CONFIG: &str = "select pgq.set_queue_config($1::text, $2::text, $3::text)";

/// Facts about all queues, or about one.
pub const QUEUE_INFO: &str = "select queue_name, queue_ntables, queue_cur_table, \
     extract(epoch from queue_rotation_period)::float8, queue_switch_time, queue_external_ticker, \
     queue_ticker_paused, queue_ticker_max_count, extract(epoch from queue_ticker_max_lag)::float8, \
     extract(epoch from queue_ticker_idle_period)::float8, extract(epoch from ticker_lag)::float8, ev_per_sec, \
     ev_new, last_tick_id from pgq.get_queue_info($1::text)";

/// Facts about consumers: of all queues, of one, or one consumer.
pub const CONSUMER_INFO: &str = "select queue_name, consumer_name, extract(epoch from lag)::float8, \
     extract(epoch from last_seen)::float8, last_tick, current_batch, next_tick, pending_events \
     from pgq.get_consumer_info($1::text, $2::text)";

/// Registers a consumer at the newest tick.
pub const REGISTER_CONSUMER: &str = "select pgq.register_consumer($1::text, $2::text)";

/// Registers a consumer at a given tick, or moves it there.
pub const REGISTER_CONSUMER_AT: &str = "select pgq.register_consumer_at($1::text, $2::text, $3::int8)";

/// Removes a consumer.
pub const UNREGISTER_CONSUMER: &str = "select pgq.unregister_consumer($1::text, $2::text)";

/// Asks the ticker for a tick soon; returns the newest tick.
pub const FORCE_TICK: &str = "select pgq.force_tick($1::text)";

/// Makes a tick if one is due.
pub const TICKER: &str = "select pgq.ticker($1::text)";

/// Makes a tick when an event waits; returns the newest tick. The original has no such function.
pub const TICK_ON_DEMAND: &str = "select pgq.tick_on_demand($1::text)";

/// Version of schema `pgq`.
pub const VERSION: &str = "select pgq.version()";

/// The tick up to which a consumer's work is committed in the target database, when that tick was made, and the tick that is stored
/// without a queue's name.
pub const GET_LAST_TICK: &str = "select pgq_ext.get_last_tick($1::text, $2::text), \
     pgq_ext.get_last_tick($1::text, $3::text), pgq_ext.get_last_tick($1::text)";

/// Whether no other process has begun a batch of that consumer of that queue; until the end of the transaction. Earlier versions
/// of this crate take the first lock alone, and exclusively.
pub const LOCK_LAST_TICK: &str = "select pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended(pg_catalog.concat('pgq_ext.completed_tick ', $1::text), 0)) \
     and pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat('pgq_ext.completed_tick of ', $2::text, ' ', $1::text), 0))";

/// Stores that tick and its time; NULLs forget them.
pub const SET_LAST_TICK: &str = "select pgq_ext.set_last_tick($1::text, $2::text, $4::int8), \
     pgq_ext.set_last_tick($1::text, $3::text, $5::int8)";

/// Forgets the tick that is stored without a queue's name.
pub const FORGET_UNNAMED_TICK: &str = "select pgq_ext.set_last_tick($1::text, null::int8)";

/// Has a session flush its WAL when it commits, where somebody has turned that off: a server that crashes would forget what the
/// other one has been told, and one of the two would have a batch that the other has not.
pub const DURABLE: &str = "select pg_catalog.set_config('synchronous_commit', 'local', false) \
     where pg_catalog.current_setting('synchronous_commit') = 'off'";

/// All statements about schema `pgq`, with their names.
pub const QUEUE_STATEMENTS: &[(&str, &str)] = &[
    ("NEXT_BATCH", NEXT_BATCH),
    ("NEXT_BACKLOG", NEXT_BACKLOG),
    ("BATCH_EVENT_SQL", BATCH_EVENT_SQL),
    ("FINISH_BATCH", FINISH_BATCH),
    ("BATCH_INFO", BATCH_INFO),
    ("EVENT_RETRY", EVENT_RETRY),
    ("BATCH_RETRY", BATCH_RETRY),
    ("INSERT_EVENT", INSERT_EVENT),
    ("INSERT_EVENT_RAW", INSERT_EVENT_RAW),
    ("INSERT_EVENT_ARRAYS", INSERT_EVENT_ARRAYS),
    ("CURRENT_EVENT_TABLE", CURRENT_EVENT_TABLE),
    ("CREATE_QUEUE", CREATE_QUEUE),
    ("DROP_QUEUE", DROP_QUEUE),
    ("SET_QUEUE_CONFIG", SET_QUEUE_CONFIG),
    ("QUEUE_INFO", QUEUE_INFO),
    ("CONSUMER_INFO", CONSUMER_INFO),
    ("REGISTER_CONSUMER", REGISTER_CONSUMER),
    ("REGISTER_CONSUMER_AT", REGISTER_CONSUMER_AT),
    ("UNREGISTER_CONSUMER", UNREGISTER_CONSUMER),
    ("FORCE_TICK", FORCE_TICK),
    ("TICKER", TICKER),
    ("VERSION", VERSION),
];

/// All statements about schema `pgq_ext`, with their names.
pub const TRACKING_STATEMENTS: &[(&str, &str)] = &[
    ("LOCK_LAST_TICK", LOCK_LAST_TICK),
    ("GET_LAST_TICK", GET_LAST_TICK),
    ("SET_LAST_TICK", SET_LAST_TICK),
    ("FORGET_UNNAMED_TICK", FORGET_UNNAMED_TICK),
];
