//! Table replication on PgQ.

pub mod apply;
mod argv;
mod cli;
pub mod command;
pub mod compare;
pub mod copy;
pub mod handler;
pub mod script;
pub mod settings;
pub mod snapshot;
pub mod sync;
pub mod table;
pub mod worker;

pub use cli::main;
pub use snapshot::Snapshot;
pub use table::{BadRow, CopyRole, MergeState, TableAttrs, TableRow};
