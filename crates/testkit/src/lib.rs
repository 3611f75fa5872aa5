//! Throw-away clusters, template databases, processes and faults for the tests.
