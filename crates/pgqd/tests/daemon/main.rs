//! pgqd against real servers, on the original's schema and on ours.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command_line;
mod databases;
mod faults;
mod fixture;
mod jobs;
mod two_daemons;
