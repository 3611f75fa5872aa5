//! Every statement that calls the `pgq_node` schema, in one place. A test prepares each against a fresh install.

/// Registers or updates a node's location: queue, node, connect string, dead.
pub const REGISTER_LOCATION: &str =
    "select ret_code, ret_note from pgq_node.register_location($1, $2, $3, $4)";
/// Forgets a node's location: queue, node.
pub const UNREGISTER_LOCATION: &str = "select ret_code, ret_note from pgq_node.unregister_location($1, $2)";
/// All known locations of a queue.
pub const GET_QUEUE_LOCATIONS: &str =
    "select node_name, node_location, dead from pgq_node.get_queue_locations($1) order by node_name";
/// Creates the local node: queue, type, node, worker, provider, global watermark, combined queue.
pub const CREATE_NODE: &str =
    "select ret_code, ret_note from pgq_node.create_node($1, $2, $3, $4, $5, $6, $7)";
/// Drops the local node, or what this node knows of another: queue, node.
pub const DROP_NODE: &str = "select ret_code, ret_note from pgq_node.drop_node($1, $2)";
/// State of the local node. `target_for` is absent before pgq_node 3.5, hence read by name from `*`.
pub const GET_NODE_INFO: &str = "select * from pgq_node.get_node_info($1)";
/// State of the local node's worker.
pub const GET_WORKER_STATE: &str = "select ret_code, ret_note, node_type, node_name, completed_tick, provider_node, \
     provider_location, paused, uptodate, cur_error, worker_name, global_watermark, local_watermark, \
     local_queue_top, combined_queue, combined_type from pgq_node.get_worker_state($1)";
/// State of one cascaded consumer: queue, consumer.
pub const GET_CONSUMER_STATE: &str = "select ret_code, ret_note, node_type, node_name, completed_tick, \
     provider_node, provider_location, paused, uptodate, cur_error from pgq_node.get_consumer_state($1, $2)";
/// All cascaded consumers whose state is kept on this node.
pub const GET_CONSUMER_INFO: &str = "select consumer_name, provider_node, last_tick_id, paused, uptodate, cur_error \
     from pgq_node.get_consumer_info($1)";
/// All nodes that read from this node.
pub const GET_SUBSCRIBER_INFO: &str =
    "select node_name, worker_name, node_watermark from pgq_node.get_subscriber_info($1)";
/// Whether the local node is the root; an unknown queue is an exception.
pub const IS_ROOT_NODE: &str = "select pgq_node.is_root_node($1)";
/// Whether the local node is a leaf; an unknown queue is an exception.
pub const IS_LEAF_NODE: &str = "select pgq_node.is_leaf_node($1)";
/// Stores the urlencoded node attributes.
pub const SET_NODE_ATTRS: &str = "select ret_code, ret_note from pgq_node.set_node_attrs($1, $2)";
/// One step of turning a root into a branch: queue, step, new provider.
pub const DEMOTE_ROOT: &str = "select ret_code, ret_note, last_tick from pgq_node.demote_root($1, $2, $3)";
/// Turns a branch into the root.
pub const PROMOTE_BRANCH: &str = "select ret_code, ret_note from pgq_node.promote_branch($1)";
/// Subscribes another node to this one: queue, node, worker, tick or NULL.
pub const REGISTER_SUBSCRIBER: &str =
    "select ret_code, ret_note, global_watermark from pgq_node.register_subscriber($1, $2, $3, $4)";
/// Unsubscribes another node: queue, node.
pub const UNREGISTER_SUBSCRIBER: &str =
    "select ret_code, ret_note from pgq_node.unregister_subscriber($1, $2)";
/// Moves the watermark of a subscribed node forward: queue, node, tick.
pub const SET_SUBSCRIBER_WATERMARK: &str =
    "select ret_code, ret_note from pgq_node.set_subscriber_watermark($1, $2, $3)";
/// Registers the local state of a cascaded consumer: queue, consumer, provider node, tick.
pub const REGISTER_CONSUMER: &str =
    "select ret_code, ret_note from pgq_node.register_consumer($1, $2, $3, $4)";
/// Removes the local state of a cascaded consumer: queue, consumer.
pub const UNREGISTER_CONSUMER: &str = "select ret_code, ret_note from pgq_node.unregister_consumer($1, $2)";
/// Points a consumer at another provider: queue, consumer, node.
pub const CHANGE_CONSUMER_PROVIDER: &str =
    "select ret_code, ret_note from pgq_node.change_consumer_provider($1, $2, $3)";
/// Acknowledges (or clears) that the consumer has seen its new state: queue, consumer, flag.
pub const SET_CONSUMER_UPTODATE: &str =
    "select ret_code, ret_note from pgq_node.set_consumer_uptodate($1, $2, $3)";
/// Pauses or resumes a consumer: queue, consumer, flag.
pub const SET_CONSUMER_PAUSED: &str =
    "select ret_code, ret_note from pgq_node.set_consumer_paused($1, $2, $3)";
/// Records the tick up to which a consumer has applied: queue, consumer, tick.
pub const SET_CONSUMER_COMPLETED: &str =
    "select ret_code, ret_note from pgq_node.set_consumer_completed($1, $2, $3)";
/// Records the last error of a consumer: queue, consumer, text or NULL.
pub const SET_CONSUMER_ERROR: &str = "select ret_code, ret_note from pgq_node.set_consumer_error($1, $2, $3)";
/// Moves the global watermark: queue, tick (NULL on the root: its local watermark).
pub const SET_GLOBAL_WATERMARK: &str = "select ret_code, ret_note from pgq_node.set_global_watermark($1, $2)";
/// Moves a merge leaf's position by a marker in the combined queue: combined queue, part queue, tick.
pub const SET_PARTITION_WATERMARK: &str =
    "select ret_code, ret_note from pgq_node.set_partition_watermark($1, $2, $3)";
/// Publishes the global watermark when it is older than five minutes.
pub const MAINT_WATERMARK: &str = "select pgq_node.maint_watermark($1)";
/// Version of the schema; NULL where the original was installed without the extension.
pub const VERSION: &str = "select pgq_node.version()";

/// All statements of this module, for the test that prepares them.
pub const ALL: &[&str] = &[
    REGISTER_LOCATION,
    UNREGISTER_LOCATION,
    GET_QUEUE_LOCATIONS,
    CREATE_NODE,
    DROP_NODE,
    GET_NODE_INFO,
    GET_WORKER_STATE,
    GET_CONSUMER_STATE,
    GET_CONSUMER_INFO,
    GET_SUBSCRIBER_INFO,
    IS_ROOT_NODE,
    IS_LEAF_NODE,
    SET_NODE_ATTRS,
    DEMOTE_ROOT,
    PROMOTE_BRANCH,
    REGISTER_SUBSCRIBER,
    UNREGISTER_SUBSCRIBER,
    SET_SUBSCRIBER_WATERMARK,
    REGISTER_CONSUMER,
    UNREGISTER_CONSUMER,
    CHANGE_CONSUMER_PROVIDER,
    SET_CONSUMER_UPTODATE,
    SET_CONSUMER_PAUSED,
    SET_CONSUMER_COMPLETED,
    SET_CONSUMER_ERROR,
    SET_GLOBAL_WATERMARK,
    SET_PARTITION_WATERMARK,
    MAINT_WATERMARK,
    VERSION,
];
