//! Table replication on PgQ.

pub mod snapshot;
pub mod table;

pub use snapshot::Snapshot;
pub use table::{CopyRole, MergeState, TableAttrs, TableRow};
