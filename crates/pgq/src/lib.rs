//! PgQ for Rust: transactional producers, streaming consumers and cascades over PostgreSQL.
//!
//! PgQ is an event log inside the database. Producers write events in their own transactions ([`producer`]); pgqd
//! makes **ticks**, snapshots of who is visible; the events between two ticks are a **batch** ([`batch`]); each
//! **consumer** ([`consumer`]) is handed batch after batch. [`change`] reads what capture triggers write, [`queue`]
//! administers, [`cascade`] spreads one queue over several databases.
//!
//! ```text
//!  producer ──insert_event──▶ event tables ──tick──▶ batch ──COPY──▶ Event, Event, … ──▶ your async function
//!                              (rotated)               ▲                                        │
//!                                                      └──────────── finish_batch ◀─────────────┘
//! ```
//!
//! Everything takes plain [`tokio_postgres`] clients and transactions. Errors are [`skytools::Error`]: a kind that
//! says whether to try again, a message that names the object, a hint.

pub mod batch;
pub mod change;
pub mod consumer;
pub mod event;
pub mod producer;
pub mod queue;
pub mod sql;
pub mod tick;
mod time;

pub use event::{Event, NewEvent};
pub use time::Time;

pub mod cascade;
