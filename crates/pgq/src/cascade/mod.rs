//! Cascading: the nodes of one queue, who reads from whom, and how far each has come.
//!
//! A queue that spans several databases is a tree of nodes. The **root** accepts events and makes ticks; a
//! **branch** holds an identical copy of the queue (same event and tick ids); a **leaf** only reads. Each node
//! keeps its own state in schema `pgq_node` of its database. This module is one typed call per function of that
//! schema; nothing here opens connections or decides anything.
//!
//! Every function takes anything that can run a query: a client, or a transaction when the call has to commit
//! together with something else.
//!
//! ```text
//!  provider                                subscriber
//!  subscriber_info(node, worker, watermark) ← register_subscriber
//!  consumers  <worker>, .<node>.watermark   local_state(worker: provider, last_tick_id, paused, uptodate)
//!                 ▲  next_batch / finish_batch          │
//!                 └─────────────── worker ──────────────┘ set_consumer_completed, with the data
//! ```

mod consumer;
mod location;
mod node;
mod reply;
pub mod sql;
mod subscriber;
mod takeover;
mod watermark;

pub use consumer::{
    ConsumerInfo, ConsumerState, WorkerState, begin_batch, change_consumer_provider, consumer_info,
    consumer_state, ensure_completed, register_consumer, set_consumer_completed, set_consumer_error,
    set_consumer_paused, set_consumer_uptodate, unregister_consumer, worker_state,
};
pub use location::{Location, queue_locations, register_location, unregister_location};
pub use node::{
    CombinedType, NewNode, NodeInfo, NodeType, create_node, drop_node, is_leaf_node, is_root_node,
    load_node_info, set_node_attrs, version,
};
pub use reply::Reply;
pub use subscriber::{Subscriber, register_subscriber, subscriber_info, unregister_subscriber};
pub use takeover::{Demoted, demote_root, promote_branch};
pub use watermark::{
    maint_watermark, set_global_watermark, set_partition_watermark, set_subscriber_watermark,
};
