//! Throw-away clusters, template databases, processes and faults for the tests.
//!
//! Only ever a dev-dependency. What a test asks for is real: PostgreSQL servers, processes of the built programs,
//! the original programs from Debian's and Python's packages. What is missing is an error that names the command
//! to run; nothing is skipped silently.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! let db = testkit::database().await?; // a fresh database with every SQL module
//! let client = db.connect().await?;
//! client.execute("select pgq.create_queue('q')", &[]).await?;
//! # Ok(()) }
//! ```
//!
//! Tests that start the `skytools` executable need `cargo build -p skytools-cli` first; `make test` does that.

#![allow(clippy::missing_errors_doc)] // every function here fails the test with a message, that is all

mod client;
mod database;
pub mod faults;
mod modules;
mod originals;
pub mod places;
mod process;
pub mod reaper;
mod wait;

pub use client::connect;
pub use database::{
    TestDb, database, database_blocking, database_on, empty_database, own_cluster, own_cluster_blocking,
    shared_cluster,
};
pub use modules::{MODULES, install_module, install_modules};
pub use originals::{DebianOriginals, PythonOriginals, debian_originals, python};
pub use process::{Process, Spawn, skytools};
pub use wait::{PATIENCE, wait_for};
