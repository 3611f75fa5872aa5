//! What makes a program a service: signals and the work loop.

mod quiet;
mod run;
mod signals;
#[cfg(test)]
mod tests;

pub use run::{Job, Turn, Work, run_loop};
pub use signals::{Signals, Wake};
