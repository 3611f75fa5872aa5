//! Throw-away PostgreSQL clusters: find server binaries, start, crash, stop, remove.
//!
//! A [`Cluster`] is a real server on a directory of its own, reachable through a unix socket only (a loopback
//! port on request). It is removed when the value is dropped, and also when the owner dies in any other way: a
//! small watchdog process holds the reading end of a pipe, and when the owner's end closes it stops the server
//! and removes the directory. No server outlives its owner unless [`Cluster::keep`] says so.
//!
//! ```no_run
//! # fn main() -> Result<(), cluster::Error> {
//! let cluster = cluster::Cluster::builder().conf("wal_level = logical").start()?;
//! assert_eq!(cluster.psql("postgres", "select 1")?.trim(), "1");
//! # Ok(()) }
//! ```
//!
//! `initdb` refuses to run as root, so for root everything of the server runs as user `postgres` (or the user
//! named in the variable `CLUSTER_USER`). The crate is synchronous, knows nothing of the suite, and works on Linux.

mod account;
mod builder;
mod error;
mod installation;
mod processes;
mod relocated;
mod server;
mod watchdog;

pub use builder::Builder;
pub use error::{Error, Result};
pub use installation::Installation;
pub use relocated::Relocated;
pub use server::{Cluster, Kept, Mode};
pub use watchdog::Watchdog;
