//! Table replication on PgQ.

pub mod apply;
pub mod snapshot;
pub mod sync;
pub mod table;

pub use snapshot::Snapshot;
pub use table::{CopyRole, MergeState, TableAttrs, TableRow};
