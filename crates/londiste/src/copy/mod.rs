//! The initial copy of a table, up to the hand-over to the worker.
//!
//! A copy runs as a task of the worker, or as a process of its own (`londiste INI copy TABLE`). Both keep to the
//! protocol of [`crate::sync`], and an advisory lock on the target lets only one of them work on a table.

mod command;
mod dropped;
mod indexes;
mod load;
mod loaded;
mod lock;
pub mod missing;
mod position;
mod ranges;
mod sessions;
mod source;
mod statistics;
mod task;
mod transfer;

pub use command::{Args, command};
pub use load::{Load, Loaded, drop_fkeys, load};
pub use position::{retire, sweep};
pub use ranges::{Explainer, abandon};
pub use sessions::Sessions;
pub use source::{Source, poke};
pub(crate) use task::refusal;
pub use task::{Copier, Ended};
pub use transfer::{Columns, Format, Progress, transfer};
