//! Tests of the log module.
