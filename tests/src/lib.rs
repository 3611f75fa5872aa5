//! Fixtures of the end-to-end tests in `tests/`: a pair of nodes, a load, and a judge that trusts nobody.

pub mod judge;
pub mod load;
pub mod mixed;
pub mod pair;
