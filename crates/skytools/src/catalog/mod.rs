//! The catalog model: what a table is made of, how to make it elsewhere, how two tables differ.
//!
//! ```no_run
//! # async fn example(source: &skytools::db::Connection, target: &mut skytools::db::Connection) -> skytools::Result<()> {
//! use skytools::catalog::{Parts, TableStruct, create_table};
//! let table = TableStruct::load(&**source, "public.orders").await?;
//! let transaction = target.transaction().await?;
//! create_table(&transaction, &table, Parts::CREATE, None).await?;
//! transaction.commit().await?;
//! # Ok(()) }
//! ```
//!
//! Foreign keys are listed and never made here: Londiste keeps them aside until both tables are in sync.

mod create;
mod diff;
mod load;
mod parts;
mod rename;
mod sequence;
mod session;
mod sql;
mod table;
mod types;

pub use create::{Created, create_table};
pub use diff::ColumnDiff;
pub use load::foreign_keys_to;
pub use parts::Parts;
pub use sequence::{SequenceOptions, SequenceStruct};
pub use table::{
    Column, Constraint, ConstraintKind, Enabled, ForeignKey, Generated, Grant, Identity, Index,
    ReplicaIdentity, Rule, TableKind, TableStruct, Trigger,
};
pub use types::{TypeForm, TypeStruct};
