//! The administrative commands, run as programs against two databases of one cluster as two nodes.

mod cli;
mod create;
mod drop;
mod execute;
mod forms;
mod listings;
mod lost;
mod nodes;
mod sequences;
mod statements;
mod tables;
mod waits;
