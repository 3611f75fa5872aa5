//! The crate against real servers: our SQL modules, and the original extension where the test says so.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that fails says where

mod batch;
mod change;
mod consumer;
mod encoding;
mod exactly_once;
mod faults;
mod fixture;
mod producer;
mod program;
mod queue;
mod statements;
mod tick;
