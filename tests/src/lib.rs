//! Fixtures of the end-to-end tests in `tests/`: a pair of nodes, a load, a judge that trusts nobody, and waits for locks.

pub mod judge;
pub mod load;
pub mod locks;
pub mod mixed;
pub mod pair;
