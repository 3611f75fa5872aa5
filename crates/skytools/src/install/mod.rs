//! Installer of the SQL modules: the files of `sql/` are embedded, run in one transaction, and compared with what
//! is installed.
//!
//! The files stay plain: `psql -1 -f sql/pgq/install.sql` does the same without this program, and
//! [`script`] prints one text for psql. Nothing here needs a superuser; what only one may do (creating roles) is
//! tried, told, and done by a later installation.

mod bundle;
pub mod command;
pub mod health;
mod installer;
mod inventory;
mod mend;
mod module;
mod owners;
mod uninstall;
mod verify;
mod waiting;

pub use bundle::{SqlFile, bundle, files, script, uninstall_sql};
pub use installer::{Action, LOCK_TIMEOUT, Outcome, install, install_within};
pub use inventory::Inventory;
pub use module::Module;
pub use uninstall::{InUse, Removal, in_use, uninstall};
pub use verify::{Difference, DifferenceKind, Manifest, ModuleState, verify};
