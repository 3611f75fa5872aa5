//! Batches: the events between two ticks, handed to one consumer at a time.
//!
//! ```text
//!            next_batch                     events … event_retry                finish_batch
//!   idle ───────────────▶ batch open ◀────────────────────────┐ ──────────────────────────────▶ idle
//!    │ nothing yet             │      crash, restart          │
//!    └──────▶ idle             └──────────────────────────────┘  the same batch is handed out again
//! ```
//!
//! # Transactions
//!
//! * [`next_batch`] must be **committed** before the work starts, or at least not be rolled back after events
//!   have been acted on: it is what makes a batch repeatable. Calling it on a plain client commits at once.
//! * The contents of an open batch never change, so [`events`] may be read in any transaction, in any isolation
//!   level that began after the batch was opened, any number of times.
//! * [`finish_batch`] moves the consumer on. In a transaction together with the work (same database) this is
//!   exactly-once; in a transaction of its own after the work is committed it is at-least-once.
//! * [`event_retry`] belongs into the transaction of [`finish_batch`]: rolled back together, kept together.
//!
//! While an [`EventStream`] is open its connection can do nothing else: the server is sending. A statement sent
//! meanwhile is answered after the last event, and waiting for it without reading the stream waits for ever.
//! Work on another connection, or read the stream to its end first.
//!
//! Everything here works on this suite's schema and on the original extension alike.

mod call;
mod decode;
mod limits;
mod stream;

pub use call::{
    BatchDetails, BatchInfo, batch_info, batch_retry, event_retry, finish_batch, next_backlog, next_batch,
};
pub use limits::{BatchLimits, Interval};
pub use stream::{EventStream, events};
