//! The SkyTools framework: configuration, logging, service loop, connections, quoting, catalog and the
//! installer of the SQL modules.
//!
//! Everything that a program of the suite needs and that is not about queues lives here. The crate knows no
//! program and no queue; see `ARCHITECTURE.md` for the direction of dependencies.

pub mod acl;
pub mod catalog;
pub mod config;
pub mod copy;
pub mod db;
pub mod error;
pub mod hashtext;
pub mod install;
pub mod isotime;
pub mod log;
pub mod natsort;
pub mod pgarray;
pub mod pidfile;
pub mod program;
pub mod progress;
pub mod quote;
pub mod report;
pub mod service;
pub mod snapshot;
pub mod sqltext;
pub mod tnetstring;
pub mod urlenc;

pub use error::{Error, ErrorKind, Result};
