//! PgQ for Rust: transactional producers, streaming consumers and cascades over PostgreSQL.

pub mod batch;
pub mod change;
pub mod consumer;
pub mod event;
pub mod producer;
pub mod queue;
pub mod sql;
mod time;

pub use event::{Event, NewEvent};
pub use time::Time;

pub mod cascade;
